import { UnreadableMemoryError } from "../guestos/memory.ts";
import { PAGE_SIZE } from "./layouts.ts";
import type { Mapped, NotMapped } from "./page_walk.ts";

/**
 * The frames to which the pages of a range lead.
 *
 * @param start Guest virtual address, page aligned
 * @param walks Of each page
 * @throws {UnreadableMemoryError} If one page is not mapped
 */
export function mappedFrames(
  start: bigint,
  walks: readonly (Mapped | NotMapped)[],
): bigint[] {
  return walks.map((walk, page) => {
    if (walk.kind === "mapped") return walk.frame;
    throw new UnreadableMemoryError(
      start + BigInt(page * PAGE_SIZE),
      walk.kind,
    );
  });
}
