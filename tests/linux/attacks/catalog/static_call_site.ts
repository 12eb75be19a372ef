import { branch, CALL } from "../../../../guestos/linux/x86_branch.ts";
import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { loaderCall } from "../loader_call.ts";
import { quiet } from "../quiet.ts";

/** The code alone. */
export const staticCallSite: Attack = {
  name: "static-call-site",
  description: "A static call's site leads to data, and its key does not.",
  rules: bothTypes("XK-001"),
  apply(target) {
    const at = loaderCall(target);
    target.write(
      target.image.address(at),
      branch(CALL, at, target.offset(quiet.data)),
    );
  },
};
