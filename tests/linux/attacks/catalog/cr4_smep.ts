import { hvmCpu } from "../../../../xen/layouts.ts";
import { clearBit } from "../clear_bit.ts";

/** Without it the kernel may run code of programs. */
export const cr4Smep = clearBit("CR4.SMEP", hvmCpu.cr4, 20n);
