import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { quiet } from "../quiet.ts";

/** The guest has a probe of its own at the start of a function. */
export const hookUnlisted: Attack = {
  name: "hook-unlisted",
  description:
    "A hook that was accepted as the kernel's own is taken off the kernel's list.",
  rules: bothTypes("XK-001"),
  apply(target) {
    // Nothing changes there, but it is where the hook is
    target.places.push({ start: target.address(quiet.probed), size: 16 });
    target.writePointer(
      target.address("ftrace_ops_list"),
      target.address("ftrace_list_end"),
    );
  },
};
