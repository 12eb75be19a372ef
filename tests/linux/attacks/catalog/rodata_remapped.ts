import { entryBits } from "../../../../xen/page_walk.ts";
import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { quiet } from "../quiet.ts";
import { readOperation } from "../read_operation.ts";

/** The whole way: the page tables, then the data. */
export const rodataRemapped: Attack = {
  name: "rodata-remapped",
  description:
    "Read-only data is made writable in the page tables, then a pointer in it is changed.",
  rules: bothTypes("XK-003", "XK-002"),
  apply(target) {
    const address = readOperation(target);
    target.changeEntry(address, (entry) => entry | entryBits.writable);
    target.writePointer(address, target.address(quiet.otherCall));
  },
};
