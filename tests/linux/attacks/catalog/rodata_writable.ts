import { entryBits } from "../../../../xen/page_walk.ts";
import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { readOperation } from "../read_operation.ts";

/** What an attacker in the guest must do first. */
export const rodataWritable: Attack = {
  name: "rodata-writable",
  description: "Read-only data is made writable in the page tables.",
  rules: bothTypes("XK-003"),
  apply(target) {
    target.changeEntry(
      readOperation(target),
      (entry) => entry | entryBits.writable,
    );
  },
};
