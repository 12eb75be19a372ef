import type { Context } from "./context.ts";

/** Bytes of a page */
export const PAGE = 4096n;

/** Where SimpleOS maps all its memory: tests/simpleos/layout.h */
const DIRECT_MAP_BASE = 0xffff880000000000n;

/** Guest virtual addresses, page aligned; `end` is the first one after it. */
export interface AddressRange {
  readonly start: bigint;
  readonly end: bigint;
}

/** The kernel's image, from its code to the end of its data. */
export function image({ profile }: Context): AddressRange {
  const start = profile.symbols.address("_text");
  const end = profile.symbols.address("_end");
  if (start === undefined || end === undefined) {
    throw new TypeError("SimpleOS without _text or _end");
  }
  return { start, end };
}

/** All of the guest's memory. */
export function directMap({ domain }: Context): AddressRange {
  return {
    start: DIRECT_MAP_BASE,
    end: DIRECT_MAP_BASE + BigInt(domain.pages) * PAGE,
  };
}
