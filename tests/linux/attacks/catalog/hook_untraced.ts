import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { hook } from "../hook.ts";
import { quiet } from "../quiet.ts";

/** Where the kernel never writes by itself. */
export const hookUntraced: Attack = {
  name: "hook-untraced",
  description:
    "A function without an ftrace site begins with a jump to another one.",
  rules: bothTypes("XK-001"),
  apply(target) {
    hook(target, quiet.handler, quiet.otherHandler);
  },
};
