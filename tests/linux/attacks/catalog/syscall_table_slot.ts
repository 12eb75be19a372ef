import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { redirectedCall } from "../redirected_call.ts";

/** The classic one. */
export const syscallTableSlot: Attack = {
  name: "syscall-table-slot",
  description: "A slot of `sys_call_table` leads to another system call.",
  rules: bothTypes("XK-006"),
  apply(target) {
    const { number, to, effect } = redirectedCall;
    target.writePointer(
      target.address("sys_call_table") + BigInt(8 * number),
      target.address(to),
    );
    // Newer kernels read the table for tracing alone
    const isUsed = target.image.offset("x64_sys_call") === undefined;
    if (isUsed) target.effect = effect;
  },
};
