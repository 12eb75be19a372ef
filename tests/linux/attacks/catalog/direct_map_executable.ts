import { entryBits } from "../../../../xen/page_walk.ts";
import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import type { Target } from "../target.ts";

/**
 * Memory of per-CPU variables, by the mapping of all memory. What is free may
 * become a page table, whose entry a PV kernel writes anew.
 */
function ordinaryMemory(target: Target): bigint {
  const moved = target.u64(target.address("__per_cpu_offset"));
  // Up to 6.14 these variables are linked to 0
  const start = target.image.offset("__per_cpu_start");
  const linked = start === undefined ? 0n : target.image.address(start);
  return BigInt.asUintN(64, moved + linked);
}

/** Both writable and executable, far away from all code. */
export const directMapExecutable: Attack = {
  name: "direct-map-executable",
  description: "Ordinary memory is made executable, and is writable as well.",
  rules: bothTypes("XK-009", "XK-010"),
  isFar: true,
  apply(target) {
    target.changeEntry(
      ordinaryMemory(target),
      (entry) => entry & ~entryBits.noExecute,
    );
  },
};
