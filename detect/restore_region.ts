import type { Remedy } from "./finding.ts";
import { type Guest, PAGE_SIZE } from "./guest.ts";
import type { LivingText } from "./living_text.ts";
import { suspectPages } from "./suspect_pages.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/**
 * Puts the trusted bytes of a region back where others are, and nowhere else:
 * what the kernel changes by itself stays.
 *
 * @param living Knows what the kernel changes in the region by itself
 */
export function restoreRegion(
  guest: Guest,
  region: TrustedRegion,
  living?: LivingText,
): Remedy {
  return (writable) => {
    living?.begin();
    for (const page of suspectPages(guest, region, living)) {
      const from = page * PAGE_SIZE;
      const start = region.start + BigInt(from);
      const read = guest.read(start, PAGE_SIZE);
      const found = living?.explain(page, read) ?? read;
      const trusted = region.trusted.subarray(from, from + PAGE_SIZE);
      for (const [at, end] of differingRuns(trusted, found)) {
        writable.writeMemory(start + BigInt(at), trusted.slice(at, end));
      }
    }
    living?.end();
  };
}

/** Start and end of each run of bytes that differ, every one of them. */
function* differingRuns(
  expected: Uint8Array,
  found: Uint8Array,
): Generator<readonly [number, number]> {
  for (let at = 0; at < expected.length; at++) {
    if (expected[at] === found[at]) continue;
    const start = at;
    while (at < expected.length && expected[at] !== found[at]) at++;
    yield [start, at];
  }
}
