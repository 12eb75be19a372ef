import { branch, CALL } from "../../../../guestos/linux/x86_branch.ts";
import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { loaderCall } from "../loader_call.ts";
import { quiet } from "../quiet.ts";

/** As if the kernel was about to change its mind, for ever. */
export const staticCallFunction: Attack = {
  name: "static-call-function",
  description:
    "A static call's site leads to another function than its key says.",
  rules: bothTypes("XK-001"),
  apply(target) {
    const at = loaderCall(target);
    target.write(
      target.image.address(at),
      branch(CALL, at, target.offset(quiet.otherCall)),
    );
  },
};
