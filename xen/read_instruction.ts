import { UnreadableMemoryError } from "../guestos/memory.ts";
import {
  type AddressRegisters,
  MAX_INSTRUCTION,
} from "./decode_memory_instruction.ts";
import { hvmCpu, PAGE_SIZE } from "./layouts.ts";

/**
 * Copies guest memory through the page tables of that root.
 *
 * @throws {UnreadableMemoryError} If one byte is unreadable
 */
export type ReadThrough = (
  root: bigint,
  address: bigint,
  length: number,
) => Uint8Array;

/** What a virtual CPU is about to do. */
export interface NextInstruction {
  /** Frame of its root page table */
  readonly root: bigint;
  /** Bytes from the instruction on, at most 15 */
  readonly code: Uint8Array;
  readonly registers: AddressRegisters;
  /** RFLAGS */
  readonly flags: bigint;
}

/** In EFER: 64-bit mode and its submode for 32-bit code are on */
const LONG_MODE = 1n << 10n;
/** Of a code segment: it holds 64-bit code */
const LONG_CODE = 1 << 9;

/**
 * Reads the instruction that a virtual CPU waits before. Another one may change
 * it in that moment.
 *
 * @param view Raw `struct hvm_hw_cpu`
 * @returns Nothing if it is not 64-bit code, or cannot be read
 */
export function readInstruction(
  view: DataView,
  read: ReadThrough,
): NextInstruction | undefined {
  const u64 = (at: number) => view.getBigUint64(at, true);
  const is64Bit = (u64(hvmCpu.msr_efer) & LONG_MODE) !== 0n &&
    (view.getUint32(hvmCpu.cs_arbytes, true) & LONG_CODE) !== 0;
  if (!is64Bit) return undefined;
  const root = BigInt.asUintN(52, u64(hvmCpu.cr3)) >> 12n;
  const registers = addressRegisters(view);
  try {
    const code = readCode(read, root, registers.ip);
    return { root, code, registers, flags: u64(hvmCpu.rflags) };
  } catch (error) {
    if (error instanceof UnreadableMemoryError) return undefined;
    throw error;
  }
}

function addressRegisters(view: DataView): AddressRegisters {
  const { rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 } = hvmCpu;
  const upper = Array.from({ length: 8 }, (_, register) => r8 + 8 * register);
  const u64 = (at: number) => view.getBigUint64(at, true);
  return {
    general: [rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, ...upper].map(u64),
    ip: u64(hvmCpu.rip),
    fsBase: u64(hvmCpu.fs_base),
    gsBase: u64(hvmCpu.gs_base),
  };
}

/** The page after it need not be there. */
function readCode(read: ReadThrough, root: bigint, ip: bigint): Uint8Array {
  const onPage = PAGE_SIZE - Number(ip % BigInt(PAGE_SIZE));
  const first = read(root, ip, Math.min(MAX_INSTRUCTION, onPage));
  if (first.length === MAX_INSTRUCTION) return first;
  const code = new Uint8Array(MAX_INSTRUCTION);
  code.set(first);
  try {
    code.set(
      read(root, ip + BigInt(onPage), MAX_INSTRUCTION - onPage),
      onPage,
    );
  } catch (error) {
    if (!(error instanceof UnreadableMemoryError)) throw error;
    return first;
  }
  return code;
}
