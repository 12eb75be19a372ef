import { entryBits } from "../../../../xen/page_walk.ts";
import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { quiet } from "../quiet.ts";

/** Code that can be changed at leisure. */
export const textWritable: Attack = {
  name: "text-writable",
  description: "Kernel code is made writable in the page tables.",
  rules: bothTypes("XK-003", "XK-010"),
  apply(target) {
    target.changeEntry(
      target.address(quiet.large),
      (entry) => entry | entryBits.writable,
    );
  },
};
