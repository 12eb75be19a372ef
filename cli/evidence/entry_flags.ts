import { entryBits } from "../../xen/page_walk.ts";

/**
 * What the flags of a page-table entry say, in words, the most telling first.
 *
 * @param level 1 for the last table
 */
export function entryFlags(entry: bigint, level: number): string[] {
  const has = (bit: bigint) => (entry & bit) !== 0n;
  if (!has(entryBits.present)) return ["not present"];
  const mayBeLarge = level === 2 || level === 3;
  return [
    has(entryBits.writable) ? "writable" : "read-only",
    has(entryBits.noExecute) ? "no-execute" : "executable",
    has(entryBits.user) ? "user" : "supervisor",
    ...(mayBeLarge && has(entryBits.large) ? ["large page"] : []),
    ...(has(entryBits.accessed) ? ["accessed"] : []),
    ...(has(entryBits.dirty) ? ["dirty"] : []),
    ...(has(entryBits.global) ? ["global"] : []),
    ...(has(entryBits.writeThrough) ? ["write-through"] : []),
    ...(has(entryBits.cacheDisable) ? ["uncached"] : []),
  ];
}
