import { branch, JUMP } from "../../../../guestos/linux/x86_branch.ts";
import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { loaderJump } from "../loader_jump.ts";

/** A form that the kernel itself gives the place, but its key says otherwise. */
export const jumpLabelFlipped: Attack = {
  name: "jump-label-flipped",
  description:
    "A jump label has its other legitimate form, and its key does not say so.",
  rules: bothTypes("XK-001"),
  apply(target) {
    const { at, to } = loaderJump(target);
    target.write(target.image.address(at), branch(JUMP, at, to));
  },
};
