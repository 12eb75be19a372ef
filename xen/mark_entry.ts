import type { XenHost } from "./host.ts";
import { entryBits } from "./page_walk.ts";
import { tellWritten } from "./tell_written.ts";

const { present, writable, accessed, dirty } = entryBits;

/**
 * Marks an entry of a page table as used, and as written to if it may be, as the
 * processor does on its way to a page.
 *
 * @param table Guest frame of the table
 */
export function markEntry(
  host: Pick<XenHost, "deviceModel" | "frames">,
  domain: number,
  table: bigint,
  index: number,
): void {
  using mapping = host.frames.mapWritable(domain, [table]);
  const entries = new BigInt64Array(mapping.bytes);
  const entry = Atomics.load(entries, index);
  if ((entry & present) === 0n) return;
  const marks = accessed | ((entry & writable) === 0n ? 0n : dirty);
  // One that another virtual CPU changes in that moment is left to the next try
  Atomics.compareExchange(entries, index, entry, entry | marks);
  tellWritten(host, domain, table);
}
