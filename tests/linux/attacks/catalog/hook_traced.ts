import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { hook } from "../hook.ts";

/** `/proc/cmdline` says what `/proc/version` does, which the guest prints. */
export const hookTraced: Attack = {
  name: "hook-traced",
  description:
    "A function that ftrace can trace begins with a jump to another one.",
  rules: bothTypes("XK-001"),
  apply(target) {
    target.effect = /cmdline: Linux version/;
    hook(target, "cmdline_proc_show", "version_proc_show");
  },
};
