import type { Context } from "./context.ts";

/** Makes all guarded regions read-only; returns entries that were changed. */
export function protectAll({ guest, profile }: Context): number {
  const ranges = profile.regions.map((region) => ({
    ...region,
    rungs: ["protect"] as const,
  }));
  return guest.protect(ranges).entries;
}
