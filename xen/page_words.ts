import type { EntryUpdate } from "./hypercalls.ts";

const WORD = 8;

/**
 * What is to be written to a frame as whole words, as a page table's entries
 * are.
 *
 * @param now What the frame holds
 * @param offset Where on the frame the first byte goes
 */
export function pageWords(
  table: bigint,
  now: Uint8Array,
  offset: number,
  bytes: Uint8Array,
): EntryUpdate[] {
  const page = now.slice();
  page.set(bytes, offset);
  const view = new DataView(page.buffer);
  const updates: EntryUpdate[] = [];
  const end = offset + bytes.length;
  for (let at = offset - offset % WORD; at < end; at += WORD) {
    updates.push({
      table,
      index: at / WORD,
      entry: view.getBigUint64(at, true),
    });
  }
  return updates;
}
