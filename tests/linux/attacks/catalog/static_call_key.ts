import { branch, CALL } from "../../../../guestos/linux/x86_branch.ts";
import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { loaderCall } from "../loader_call.ts";
import { quiet } from "../quiet.ts";

/** Key and code agree, so that neither gives the other away. */
export const staticCallKey: Attack = {
  name: "static-call-key",
  description: "A static call's key and its site both lead to data.",
  rules: bothTypes("XK-001"),
  apply(target) {
    const at = loaderCall(target);
    target.writePointer(
      target.address(quiet.tracepointCall),
      target.address(quiet.data),
    );
    target.write(
      target.image.address(at),
      branch(CALL, at, target.offset(quiet.data)),
    );
  },
};
