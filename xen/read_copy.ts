import { UnreadableMemoryError } from "../guestos/memory.ts";
import { decodeCopy } from "./decode_copy.ts";
import { PAGE_SIZE } from "./layouts.ts";
import { readInstruction } from "./read_instruction.ts";
import type { ThroughTables } from "./read_store.ts";

/** What an instruction writes to one page. */
export interface CopiedPart {
  /** Guest virtual address */
  readonly address: bigint;
  /** Guest frame, and where on it the first byte lies */
  readonly frame: bigint;
  readonly offset: number;
  readonly data: Uint8Array;
}

/**
 * Reads what a virtual CPU, which waits before an instruction, is about to copy,
 * and to where. Another one may change all that in that moment.
 *
 * @param view Raw `struct hvm_hw_cpu`
 * @returns One part for each page, one or two, and none if it cannot be read;
 *   nothing if it is another instruction
 */
export function readCopy(
  view: DataView,
  memory: ThroughTables,
): readonly CopiedPart[] | undefined {
  const instruction = readInstruction(
    view,
    (...place) => memory.readThrough(...place),
  );
  if (instruction === undefined) return [];
  const { root, code, registers, flags } = instruction;
  const copy = decodeCopy(code, registers, flags);
  if (copy === undefined) return undefined;
  const { address, from } = copy;
  try {
    const data = from instanceof Uint8Array
      ? from
      : memory.readThrough(root, from.address, from.size);
    const parts: CopiedPart[] = [];
    for (let done = 0; done < data.length;) {
      const at = BigInt.asUintN(64, address + BigInt(done));
      const walk = memory.walk(at, root);
      if (walk.kind !== "mapped") return [];
      const offset = Number(at % BigInt(PAGE_SIZE));
      const part = data.subarray(done, done + PAGE_SIZE - offset);
      parts.push({ address: at, frame: walk.frame, offset, data: part });
      done += part.length;
    }
    return parts;
  } catch (error) {
    if (error instanceof UnreadableMemoryError) return [];
    throw error;
  }
}
