import type { KernelFile } from "./kernel_file.ts";
import type { GuestMemory } from "./memory.ts";
import type { SymbolTable } from "./symbol_table.ts";

/** A range of guest kernel memory that must not change. */
export interface Region {
  /** What the kernel calls it: `kernel text`, `sys_call_table` */
  readonly name: string;
  /** Code is executed; data is read by code and invariant after boot. */
  readonly kind: "code" | "data";
  /** Guest virtual address of the first byte, page aligned */
  readonly start: bigint;
  /** Bytes, a multiple of the page size */
  readonly size: number;
  /**
   * The bytes that must be there, `size` of them. Left out where no kernel
   * file tells them: then the first reading is trusted.
   */
  readonly trusted?: Uint8Array;
}

/** One illegal write that the guest's own page-fault handler announced. */
export interface FaultRecord {
  /** Position in the guest's count of faults, from 1 */
  readonly sequence: bigint;
  /** Guest virtual address that was to be written (CR2) */
  readonly address: bigint;
  /** Guest virtual address of the instruction */
  readonly ip: bigint;
  /** The processor's page-fault error code (bit 0 present, bit 1 write) */
  readonly errorCode: number;
  /** Virtual CPU that faulted */
  readonly cpu: number;
}

/** How a guest announces page faults to Dom0. */
export interface FaultChannel {
  /** Xenstore node with the grant reference, relative to the domain's home */
  readonly refNode: string;
  /** Xenstore node with the event channel port, relative as well */
  readonly portNode: string;
  /**
   * The records on a copy of the granted page that came after `after`, oldest
   * first. The page is hostile: what makes no sense is left out.
   *
   * @param page 4096 bytes
   * @param after Sequence of the last record that was seen; 0n for none
   */
  decode(page: Uint8Array, after: bigint): FaultRecord[];
}

/** What is known of one guest's kernel: all that detection needs of it. */
export interface Profile {
  /** Name and version of the system, for people */
  readonly os: string;
  readonly symbols: SymbolTable;
  readonly regions: readonly Region[];
  /**
   * Trap vector to address of the handler it must have, for those that the
   * kernel file tells; the others are trusted at first reading.
   */
  readonly handlers: ReadonlyMap<number, bigint>;
  /** Whether the kernel lives in one address space, so that CR3 never changes */
  readonly singleAddressSpace: boolean;
  readonly faultChannel?: FaultChannel;
  /**
   * Whether the kernel has set up its own page tables and handlers. Before
   * that only contents can be judged.
   *
   * @throws {UnreadableMemoryError} If the kernel's memory cannot be read
   */
  booted(memory: GuestMemory): boolean;
}

/** A kind of guest system that xkmon knows. */
export interface ProfileModule {
  /** What `--profile` calls it */
  readonly name: string;
  /** Whether the kernel file is one of this system, by its ELF notes */
  recognises(kernel: KernelFile): boolean;
  /**
   * The profile of one kernel.
   *
   * @throws {SyntaxError} If the file lacks what the profile needs; the
   *   message names it
   */
  open(kernel: KernelFile): Profile;
}
