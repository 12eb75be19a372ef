/**
 * Whether every case is tried, and for as long as it takes: `npm test -- --long`.
 * Otherwise cases that differ little are left out.
 */
export const LONG = Deno.env.get("XKMON_LONG") !== undefined;
