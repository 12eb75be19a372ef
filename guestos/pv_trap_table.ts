import type { ElfFile } from "./elf_file.ts";

/** Bytes of a `trap_info_t` */
const ENTRY_SIZE = 16;
/** As many as there are vectors */
const MAX_ENTRIES = 256;

/**
 * The handlers that a PV kernel gives to Xen by `HYPERVISOR_set_trap_table`,
 * as its file holds them. A table that the kernel fills only when it runs is
 * empty here.
 *
 * Source: `struct trap_info` in xen/include/public/arch-x86/xen.h: u8 vector,
 * u8 flags, u16 code segment, 4 bytes unused, u64 address; address 0 ends it.
 *
 * @param elf The kernel file
 * @param address Guest virtual address of the table
 * @returns Trap vector to guest virtual address of its handler
 */
export function pvTrapTable(
  elf: ElfFile,
  address: bigint,
): Map<number, bigint> {
  const handlers = new Map<number, bigint>();
  for (let i = 0; i < MAX_ENTRIES; i++) {
    const entry = elf.bytesAt(address + BigInt(i * ENTRY_SIZE), ENTRY_SIZE);
    if (entry === undefined) break;
    const view = new DataView(entry.buffer, entry.byteOffset, ENTRY_SIZE);
    const handler = view.getBigUint64(8, true);
    if (handler === 0n) break;
    handlers.set(view.getUint8(0), handler);
  }
  return handlers;
}
