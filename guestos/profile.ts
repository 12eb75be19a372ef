import type { KernelFile } from "./kernel_file.ts";
import type { GuestMemory, KernelMemory } from "./memory.ts";
import type { ModuleDirectory } from "./module_directory.ts";
import type { SymbolTable } from "./symbol_table.ts";

/**
 * What a difference in code is that its own kernel may have made.
 *
 * - `own`: one of the forms that the kernel gives this very place, and the one
 *   that its data asks for now
 * - `changing`: on the way from one form to another, or not yet on the way; it
 *   does not last
 * - `instrumented`: somebody's hook that the kernel knows of and accounts for
 * - `foreign`: nothing that the kernel does
 */
export type CodeState =
  | { readonly kind: "own" }
  | { readonly kind: "changing" }
  | {
    readonly kind: "instrumented";
    /** What it is and whose: `kprobe of module lab` */
    readonly by: string;
  }
  | {
    readonly kind: "foreign";
    /** One sentence without symbol and address */
    readonly summary: string;
  };

/** A place in code, and what it shows. */
export interface CodeChange {
  /** Guest virtual address of the place */
  readonly start: bigint;
  /** Bytes that the state is of */
  readonly size: number;
  readonly state: CodeState;
  /** Whether it is none of the places that the kernel rewrites by itself */
  readonly isElsewhere?: boolean;
}

/** The places of a region of code that the kernel rewrites while it runs. */
export interface LivingCode {
  /**
   * Judges a difference.
   *
   * @param address Of a byte that differs from the trusted copy
   * @param read Reads the region's bytes as they are now
   * @throws {UnreadableMemoryError} If the guest's data cannot be read
   */
  judge(
    address: bigint,
    read: (address: bigint, size: number) => Uint8Array,
  ): CodeChange;
  /**
   * Whether the kernel says that it is changing its code: what it is in the
   * midst of may take long, if it changes all of it.
   *
   * @throws {UnreadableMemoryError} If the guest's data cannot be read
   */
  isBusy?(): boolean;
  /** Whether a list could not be read that may account for what is foreign. */
  isUncertain?(): boolean;
  /**
   * Reads the guest's data anew: who hooks may be younger than what was read.
   *
   * @returns Whether it did; an enemy cannot have it done without end
   */
  renew?(): boolean;
}

/** A part of a region that findings are told of by name. */
export interface Asset {
  readonly name: string;
  /** Guest virtual address */
  readonly start: bigint;
  readonly size: number;
  /** What it is for, which chooses the rule */
  readonly kind: "system call dispatch" | "descriptor table";
}

/** A range of executable memory with an owner. */
export interface OwnedCode {
  /** Who: `module xfs` */
  readonly name: string;
  /** Guest virtual address */
  readonly start: bigint;
  /** First address behind it */
  readonly end: bigint;
  /** Whether the kernel itself keeps it writable */
  readonly writable?: boolean;
}

/** Who owns the executable memory of a kernel. */
export interface CodeMap {
  /** Where a kernel may have executable memory, and where it mostly has it */
  readonly all: { readonly start: bigint; readonly end: bigint };
  readonly usual: { readonly start: bigint; readonly end: bigint };
  /**
   * The owners by the kernel's own lists as they are now.
   *
   * @throws {UnreadableMemoryError} If a list cannot be read
   */
  owners(): readonly OwnedCode[];
  /** Lists that could not be read to their end */
  unreadable?(): readonly string[];
  /** Reads the lists anew: what is mapped may be younger than they are. */
  renew?(): void;
  /**
   * Pages that belong together with one that no list has, and are the kernel's
   * own making by their looks.
   *
   * @param page The first page's bytes
   * @returns 0 if it is nothing of the kernel's
   */
  pagesByLooks?(page: Uint8Array): number;
}

/** What loaded code must be. */
export interface TrustedCode {
  readonly bytes: Uint8Array;
  /** Why it is not known better than by its first reading, where it could be */
  readonly doubt?: string;
}

/** Code that comes and goes, such as that of a module. */
export interface LoadedCode {
  /** Who it belongs to: `module xfs` */
  readonly name: string;
  /** Guest virtual address, page aligned */
  readonly start: bigint;
  /** Bytes, a multiple of the page size */
  readonly size: number;
  /**
   * What it must be; left out where the first reading is trusted. To be called
   * before anything is judged.
   *
   * @param found What it is now
   * @throws {UnreadableMemoryError} If the guest's data cannot be read
   */
  trust?(found: Uint8Array): TrustedCode;
  readonly living?: LivingCode;
}

/** Where system calls enter a kernel: what each register may hold. */
export interface EntryPoints {
  readonly lstar: readonly bigint[];
  readonly cstar: readonly bigint[];
  readonly sysenterIp: readonly bigint[];
}

/** Something in the kernel's memory that contradicts the kernel itself. */
export interface Contradiction {
  readonly address: bigint;
  /** One sentence without symbol and address */
  readonly summary: string;
}

/** Guest virtual addresses. */
export interface AddressRange {
  readonly start: bigint;
  /** Bytes */
  readonly size: number;
}

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
  /** Whether `trusted` is a first reading too, checked by other data */
  readonly isFirstReading?: boolean;
  /** Whether the kernel keeps it writable though nothing changes it */
  readonly writable?: boolean;
  /**
   * Whether writes to it may be stopped below the kernel: the kernel itself
   * never writes to it.
   */
  readonly sealable?: boolean;
  /** Of data, what processes execute: whole pages */
  readonly executed?: AddressRange;
  /** Where the kernel itself changes it; nowhere if left out */
  readonly living?: LivingCode;
  readonly assets?: readonly Asset[];
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
  /**
   * Whether the regions can be made read-only: no kernel that changes its own
   * code or page tables bears it.
   */
  readonly protectable: boolean;
  /** What contradicted the kernel when the profile was made */
  readonly contradictions: readonly Contradiction[];
  /** Forgets what was read of the guest's data; to be called before each look. */
  refresh?(): void;
  /** Who owns executable memory, where the kernel tells */
  readonly codeMap?: CodeMap;
  /** The code that is loaded now: the kernel's lists are read anew */
  loadedCode?(): readonly LoadedCode[];
  readonly entryPoints?: EntryPoints;
  /**
   * Whether the kernel says that a virtual CPU has come up.
   *
   * @throws {UnreadableMemoryError} If the kernel's memory cannot be read
   */
  isOnline?(vcpu: number): boolean;
  /** Guest virtual address of the interrupt descriptor table */
  readonly idt?: bigint;
  /** What an operator may want to know of how the profile was made */
  readonly notes: readonly string[];
  readonly faultChannel?: FaultChannel;
  /**
   * Whether the kernel has set up its own page tables and handlers. Before
   * that only contents can be judged.
   *
   * @throws {UnreadableMemoryError} If the kernel's memory cannot be read
   */
  booted(memory: GuestMemory): boolean;
}

/** What helps to make a profile. */
export interface ProfileHints {
  /** A profile that was kept, for a kernel whose file is not at hand */
  readonly saved?: Uint8Array;
  /** Files of the modules that may be loaded */
  readonly modules?: ModuleDirectory;
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
   * @param kernel The kernel file, where it is at hand
   * @param memory The guest's memory
   * @throws {SyntaxError} If a file lacks what the profile needs; the message
   *   names it
   * @throws {ProfileError} If the guest's memory does not tell what is needed
   * @throws {UnreadableMemoryError} If the guest's memory cannot be read
   */
  open(
    kernel: KernelFile | undefined,
    memory: KernelMemory,
    hints?: ProfileHints,
  ): Profile;
}
