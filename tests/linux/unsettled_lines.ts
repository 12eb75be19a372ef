import type { TrustedRegion } from "../../detect/trusted_region.ts";
import type { KernelMemory } from "../../guestos/memory.ts";

/**
 * Places that the verdict takes for being changed at this moment, a line each.
 * A guest that does nothing has none: what it has would be an alarm as soon as
 * it is seen to last.
 */
export function unsettledLines(
  guest: KernelMemory,
  regions: readonly TrustedRegion[],
): string[] {
  const lines: string[] = [];
  for (const { name, start, size, trusted, living } of regions) {
    if (living === undefined) continue;
    const found = new Uint8Array(size);
    guest.readInto(start, found);
    for (let at = 0; at < size; at++) {
      if (found[at] === trusted[at]) continue;
      const address = start + BigInt(at);
      const change = living.judge(
        address,
        (from, length) => guest.read(from, length),
      );
      const end = Number(change.start - start) + change.size;
      at = Math.max(at, end - 1);
      if (change.state.kind !== "changing") continue;
      lines.push(
        `${name} 0x${change.start.toString(16)}: is taken for being changed`,
      );
    }
  }
  return lines;
}
