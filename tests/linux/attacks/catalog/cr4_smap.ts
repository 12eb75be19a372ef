import { hvmCpu } from "../../../../xen/layouts.ts";
import { clearBit } from "../clear_bit.ts";

/** Without it the kernel may read data of programs. */
export const cr4Smap = clearBit("CR4.SMAP", hvmCpu.cr4, 21n);
