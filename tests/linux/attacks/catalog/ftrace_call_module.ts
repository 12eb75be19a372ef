import { branch, CALL } from "../../../../guestos/linux/x86_branch.ts";
import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { ftraceSite } from "../ftrace_site.ts";
import { labModule } from "../lab_module.ts";
import { quiet } from "../quiet.ts";

/** It looks like tracing: a call in the right place, to where trampolines are. */
export const ftraceCallModule: Attack = {
  name: "ftrace-call-module",
  description: "An ftrace site calls data of a module, which is no trampoline.",
  rules: bothTypes("XK-001"),
  apply(target) {
    const { image } = target;
    const at = ftraceSite(target, quiet.call);
    const to = Number(labModule(target).rodata - image.base);
    target.write(image.address(at), branch(CALL, at, to));
  },
};
