import { UnreadableMemoryError } from "../guestos/memory.ts";
import { type Guest, PAGE_SIZE } from "./guest.ts";
import type { LivingText } from "./living_text.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/**
 * Positions of the pages worth a closer look: those that differ or, where one
 * cannot be read, all of them.
 *
 * @param range Where, and what must be there, whole pages
 * @param living Knows pages that may differ though nothing was written to them
 */
export function suspectPages(
  guest: Guest,
  { start, trusted }: Pick<TrustedRegion, "start" | "trusted">,
  living?: LivingText,
): Iterable<number> {
  try {
    return guest.compare(start, trusted, living?.disowned);
  } catch (error) {
    if (!(error instanceof UnreadableMemoryError)) throw error;
    return Array(trusted.length / PAGE_SIZE).keys();
  }
}
