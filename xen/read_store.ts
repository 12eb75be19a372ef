import { decodeStore, type Store } from "./decode_store.ts";
import { PAGE_SIZE } from "./layouts.ts";
import type { Mapped, NotMapped } from "./page_walk.ts";
import { readInstruction, type ReadThrough } from "./read_instruction.ts";

/** Memory of a guest behind any of its root page tables. */
export interface ThroughTables {
  readonly readThrough: ReadThrough;
  /** Where an address leads at this moment */
  walk(address: bigint, root: bigint): Mapped | NotMapped;
}

/**
 * Reads what a virtual CPU, which waits before an instruction, is about to
 * write: at most 8 bytes of one page. Another one may change it in that moment.
 *
 * @param view Raw `struct hvm_hw_cpu`
 * @returns What it is, and the guest frame that it leads to; nothing if it
 *   cannot be told, or may be more
 */
export function readStore(
  view: DataView,
  memory: ThroughTables,
): Store & { readonly frame: bigint } | undefined {
  const instruction = readInstruction(
    view,
    (...place) => memory.readThrough(...place),
  );
  if (instruction === undefined) return undefined;
  const { root, code, registers } = instruction;
  const store = decodeStore(code, registers);
  if (store === undefined) return undefined;
  const { address, size } = store;
  if (Number(address % BigInt(PAGE_SIZE)) + size > PAGE_SIZE) return undefined;
  const walk = memory.walk(address, root);
  if (walk.kind !== "mapped") return undefined;
  return { ...store, frame: walk.frame };
}
