import type { SymbolTable } from "../guestos/symbol_table.ts";
import { elfHash } from "./elf_hash.ts";
import type { Finding, Unreadable } from "./finding.ts";
import { type Guest, PAGE_SIZE } from "./guest.ts";
import type { LivingText } from "./living_text.ts";
import { nameAsset } from "./name_asset.ts";
import type { Rule } from "./rules.ts";
import { suspectPages } from "./suspect_pages.ts";
import { tellTogether, tellUnreadable } from "./tell_unreadable.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/** Differing bytes this close together are one change. */
const JOIN = 16;
/** Bytes of a change that a finding shows */
const SHOWN = 64;
/** Changes of one region that are told one by one */
const MAX_CHANGES = 16;

/** A run of bytes that differ, in bytes from the start. */
export interface Difference {
  readonly offset: number;
  readonly length: number;
}

/**
 * Runs of differing bytes; those that lie close together are one.
 *
 * @param expected What must be there
 * @param found As long as `expected`
 *
 * @example
 * ```ts
 * const runs = findDifferences(
 *   new Uint8Array([1, 2, 3]),
 *   new Uint8Array([1, 0, 3]),
 * );
 * console.assert(runs[0]?.offset === 1 && runs[0].length === 1);
 * ```
 */
export function findDifferences(
  expected: Uint8Array,
  found: Uint8Array,
): Difference[] {
  const runs: { offset: number; length: number }[] = [];
  for (let at = 0; at < expected.length; at++) {
    if (expected[at] === found[at]) continue;
    const last = runs.at(-1);
    if (last !== undefined && at - (last.offset + last.length) < JOIN) {
      last.length = at - last.offset + 1;
    } else {
      runs.push({ offset: at, length: 1 });
    }
  }
  return runs;
}

/**
 * Compares a region with its trusted copy and describes what differs. Pages
 * that cannot be read are told together and hide no other.
 *
 * @param summary One sentence for a change
 * @param living Knows what the kernel changes in the region by itself
 */
export function* compareRegion(
  guest: Guest,
  symbols: SymbolTable,
  region: TrustedRegion,
  rule: Rule,
  summary: string,
  living?: LivingText,
): Generator<Finding | Unreadable> {
  living?.begin();
  const unreadable: Unreadable[] = [];
  let changes = 0;
  for (const page of suspectPages(guest, region, living)) {
    if (changes > MAX_CHANGES) break;
    const from = page * PAGE_SIZE;
    const expected = region.trusted.subarray(from, from + PAGE_SIZE);
    let found: Uint8Array;
    try {
      found = guest.read(region.start + BigInt(from), PAGE_SIZE);
      found = living?.explain(page, found) ?? found;
    } catch (error) {
      unreadable.push(tellUnreadable(rule, symbols, error));
      continue;
    }
    for (const { offset, length } of findDifferences(expected, found)) {
      if (changes++ === MAX_CHANGES) {
        yield moreChanges(rule, symbols, region, page, found);
        break;
      }
      const address = region.start + BigInt(from + offset);
      // A changed pointer is told whole, not just its differing bytes
      const aligned = region.kind === "data" ? offset - offset % 8 : offset;
      const end = region.kind === "data"
        ? Math.ceil((offset + length) / 8) * 8
        : offset + length;
      const shown = Math.min(end - aligned, SHOWN);
      const bytes = found.slice(aligned, aligned + shown);
      const start = address - BigInt(offset - aligned);
      yield nameAsset({
        rule,
        seen: "compare",
        what: region.name,
        address: start,
        symbol: symbols.describe(start),
        summary: living?.summary(address) ?? summary,
        expected: expected.slice(aligned, aligned + shown),
        found: bytes,
        key: `${rule.id} ${start.toString(16)} ${bytes.toHex()}`,
      }, region);
    }
  }
  living?.end();
  yield* tellTogether(unreadable);
}

/** Stands for all changes that are not told one by one. */
function moreChanges(
  rule: Rule,
  symbols: SymbolTable,
  region: TrustedRegion,
  page: number,
  found: Uint8Array,
): Finding {
  const address = region.start + BigInt(page * PAGE_SIZE);
  return {
    rule,
    seen: "compare",
    what: region.name,
    address,
    symbol: symbols.describe(address),
    summary: `more than ${MAX_CHANGES} places were changed, the rest from here`,
    key: `${rule.id} ${region.name} more ${page} ${elfHash(found)}`,
  };
}
