import { branch, CALL } from "../../../../guestos/linux/x86_branch.ts";
import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { ftraceSite } from "../ftrace_site.ts";
import { quiet } from "../quiet.ts";

/** It looks like tracing, but calls data of the kernel itself. */
export const ftraceCallData: Attack = {
  name: "ftrace-call-data",
  description: "An ftrace site calls the kernel's own data.",
  rules: bothTypes("XK-001"),
  apply(target) {
    const at = ftraceSite(target, quiet.call);
    target.write(
      target.image.address(at),
      branch(CALL, at, target.offset(quiet.data)),
    );
  },
};
