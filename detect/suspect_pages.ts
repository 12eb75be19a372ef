import { UnreadableMemoryError } from "../guestos/memory.ts";
import { type Guest, PAGE_SIZE } from "./guest.ts";

/**
 * Positions of the pages worth a closer look: those that differ or, where one
 * cannot be read, all of them.
 *
 * @param start Guest virtual address of the first page
 * @param expected What must be there, whole pages
 * @param also Positions of pages that may differ though nothing was written
 */
export function suspectPages(
  guest: Guest,
  start: bigint,
  expected: Uint8Array<ArrayBuffer>,
  also?: Iterable<number>,
): Iterable<number> {
  try {
    return guest.compare(start, expected, also);
  } catch (error) {
    if (!(error instanceof UnreadableMemoryError)) throw error;
    return Array(expected.length / PAGE_SIZE).keys();
  }
}
