import { PAGE_SIZE } from "../../../../xen/layouts.ts";
import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { quiet } from "../quiet.ts";

/** Whoever looks at the old frame sees nothing. */
export const textSwapped: Attack = {
  name: "text-swapped",
  description:
    "A page of kernel code leads to another frame, which has a changed copy.",
  rules: bothTypes("XK-003", "XK-001"),
  apply(target) {
    const size = BigInt(PAGE_SIZE);
    const page = (target.address(quiet.large) / size + 1n) * size;
    const copy = target.guest.read(page, PAGE_SIZE);
    copy[PAGE_SIZE / 2]! ^= 1;
    target.swapPage(page, copy);
  },
};
