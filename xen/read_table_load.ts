import type { DescriptorTable } from "../guestos/cpu_state.ts";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import { decodeTableLoad } from "./decode_table_load.ts";
import { readInstruction, type ReadThrough } from "./read_instruction.ts";

/** What a virtual CPU is about to load. */
export interface ReadLoad {
  readonly register: "idt" | "gdt";
  readonly value: DescriptorTable;
  /** Guest virtual address of the instruction after it */
  readonly next: bigint;
}

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
  const instruction = readInstruction(view, read);
  if (instruction === undefined) return undefined;
  const { root, code, registers } = instruction;
  const load = decodeTableLoad(code, registers);
  if (load === undefined) return undefined;
  try {
    const bytes = read(root, load.operand, OPERAND);
    const operand = new DataView(bytes.buffer, bytes.byteOffset);
    return {
      register: load.register,
      value: {
        base: operand.getBigUint64(2, true),
        limit: operand.getUint16(0, true),
      },
      next: BigInt.asUintN(64, registers.ip + BigInt(load.length)),
    };
  } catch (error) {
    if (error instanceof UnreadableMemoryError) return undefined;
    throw error;
  }
}
