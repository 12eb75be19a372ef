import { branch, JUMP } from "../../../../guestos/linux/x86_branch.ts";
import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { loaderJump } from "../loader_jump.ts";

/** A jump where a jump may be, but not to there. */
export const jumpLabelElsewhere: Attack = {
  name: "jump-label-elsewhere",
  description:
    "A jump label becomes a jump to another target than its table's.",
  rules: bothTypes("XK-001"),
  apply(target) {
    const { at, to } = loaderJump(target);
    target.write(target.image.address(at), branch(JUMP, at, to + 16));
  },
};
