import type {
  CpuRegisters,
  CpuState,
  RegisterName,
} from "../../guestos/cpu_state.ts";
import type { CodeLine } from "../../guestos/x86/disassembler.ts";
import type { Mapped, NotMapped } from "../../xen/page_walk.ts";
import type { Finding } from "../finding.ts";
import type { Guest } from "../guest.ts";
import type { Part } from "./part.ts";

/** The first address of the kernel half of the address space */
export const KERNEL_HALF = 0xffff_8000_0000_0000n;

/** A guest that can be examined. */
export interface ExaminedGuest extends Guest {
  /** Where an address leads at this moment */
  walk(address: bigint): Mapped | NotMapped;
  /** What the registers of a virtual CPU hold */
  registers(vcpu: number): CpuRegisters;
}

/** A word of memory or of a register. */
export interface Word {
  readonly value: bigint;
  /** Where it leads, if into the kernel: `shutdown+0x12` */
  readonly symbol?: string;
}

/** An instruction with names for its addresses. */
export interface NamedLine extends CodeLine {
  /** Its address in words */
  readonly symbol: string;
  readonly targetSymbol?: string;
  /** Whether it is the one that is asked about, or differs */
  readonly marked: boolean;
}

/** Bytes around a finding. */
export interface Surroundings {
  /** Address of the first byte, a multiple of 16 */
  readonly start: bigint;
  /** Left out where no trusted copy has them */
  readonly expected?: Part<Uint8Array>;
  readonly found: Part<Uint8Array>;
}

/** A word that is not what it must be. */
export interface ChangedWord {
  /** Address of the word; left out for what is no memory */
  readonly address?: bigint;
  readonly symbol?: string;
  readonly expected: Word;
  readonly found: Word;
  /** The code that it leads to now, if it leads to another place */
  readonly code?: Part<readonly NamedLine[]>;
}

/** Code as it must be and as it is. */
export interface ChangedCode {
  readonly expected: Part<readonly NamedLine[]>;
  readonly found: Part<readonly NamedLine[]>;
}

/** What there is to know of a finding. */
export interface ExaminedFinding {
  readonly finding: Finding;
  /** Name of the region that it is in */
  readonly region?: string;
  /** Left out for what is no memory of the kernel */
  readonly bytes?: Surroundings;
  readonly code?: ChangedCode;
  readonly words: readonly ChangedWord[];
  readonly walk?: Part<Mapped | NotMapped>;
  /** Code around the instruction that did it, where it is known */
  readonly instruction?: Part<readonly NamedLine[]>;
}

/** A register with where it leads. */
export interface NamedRegister extends Word {
  readonly name: RegisterName;
}

/** A word on a stack. */
export interface StackWord extends Word {
  readonly address: bigint;
}

/** Something that a virtual CPU jumps to or looks into by itself. */
export interface NamedWord extends Word {
  readonly name: string;
}

/** What there is to know of a virtual CPU. */
export interface ExaminedCpu {
  readonly state: CpuState;
  /** Tables and entry points of the kernel that it uses */
  readonly entries: readonly NamedWord[];
  readonly registers: Part<readonly NamedRegister[]>;
  readonly code: Part<readonly NamedLine[]>;
  readonly stack: Part<readonly StackWord[]>;
}

/** A page that a finding is about. */
export interface EvidencePage {
  readonly address: bigint;
  /** Left out where no trusted copy has it */
  readonly trusted?: Uint8Array;
  readonly found: Part<Uint8Array>;
}

/** What a guest that stands still shows of an incident. */
export interface Evidence {
  readonly findings: readonly ExaminedFinding[];
  /** Findings that were not examined: there were too many */
  readonly moreFindings: number;
  readonly cpus: Part<readonly ExaminedCpu[]>;
  /** Virtual CPUs that were not examined */
  readonly moreCpus: number;
  readonly pages: readonly EvidencePage[];
  /** Whether there were more pages */
  readonly morePages: boolean;
}
