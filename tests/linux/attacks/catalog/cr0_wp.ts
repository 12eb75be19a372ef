import { hvmCpu } from "../../../../xen/layouts.ts";
import { clearBit } from "../clear_bit.ts";

/** Without it the kernel may write to read-only pages. */
export const cr0Wp = clearBit("CR0.WP", hvmCpu.cr0, 16n);
