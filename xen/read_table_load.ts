import type { DescriptorTable } from "../guestos/cpu_state.ts";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import {
  type AddressRegisters,
  decodeTableLoad,
  MAX_INSTRUCTION,
} from "./decode_table_load.ts";
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

/** What a virtual CPU is about to load. */
export interface ReadLoad {
  readonly register: "idt" | "gdt";
  readonly value: DescriptorTable;
  /** Guest virtual address of the instruction after it */
  readonly next: bigint;
}

/** In EFER: 64-bit mode and its submode for 32-bit code are on */
const LONG_MODE = 1n << 10n;
/** Of a code segment: it holds 64-bit code */
const LONG_CODE = 1 << 9;
/** Bytes of a limit and a base */
const OPERAND = 10;

/**
 * Reads which descriptor table a virtual CPU, which waits before an instruction,
 * is about to load. Another one may change all that in that moment.
 *
 * @param view Raw `struct hvm_hw_cpu`
 * @returns Nothing if it loads none, or that cannot be told
 */
export function readTableLoad(
  view: DataView,
  read: ReadThrough,
): ReadLoad | undefined {
  const u64 = (at: number) => view.getBigUint64(at, true);
  const is64Bit = (u64(hvmCpu.msr_efer) & LONG_MODE) !== 0n &&
    (view.getUint32(hvmCpu.cs_arbytes, true) & LONG_CODE) !== 0;
  if (!is64Bit) return undefined;
  const root = BigInt.asUintN(52, u64(hvmCpu.cr3)) >> 12n;
  const registers = addressRegisters(view);
  const { ip } = registers;
  try {
    const instruction = decodeTableLoad(readCode(read, root, ip), registers);
    if (instruction === undefined) return undefined;
    const bytes = read(root, instruction.operand, OPERAND);
    const operand = new DataView(bytes.buffer, bytes.byteOffset);
    return {
      register: instruction.register,
      value: {
        base: operand.getBigUint64(2, true),
        limit: operand.getUint16(0, true),
      },
      next: BigInt.asUintN(64, ip + BigInt(instruction.length)),
    };
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
