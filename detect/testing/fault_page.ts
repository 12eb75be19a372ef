import type { FaultRecord } from "../../guestos/profile.ts";

const SLOTS = 63n;

/**
 * A page of SimpleOS's fault channel, see `simpleosFaultChannel`.
 *
 * @param records What the guest, or an enemy in it, wrote; a later record
 *   takes the place of an earlier one in its slot
 */
export function faultPage(
  records: readonly Pick<
    FaultRecord,
    "sequence" | "address" | "ip" | "errorCode"
  >[],
): Uint8Array<ArrayBuffer> {
  const page = new Uint8Array(4096);
  const view = new DataView(page.buffer);
  page.set(new TextEncoder().encode("XKMFAULT"));
  view.setUint32(8, 1, true);
  view.setUint32(12, Number(SLOTS), true);
  let last = 0n;
  for (const { sequence, address, ip, errorCode } of records) {
    if (sequence > last) last = sequence;
    const at = 64 + 64 * Number((sequence - 1n) % SLOTS);
    view.setBigUint64(at, sequence, true);
    view.setBigUint64(at + 8, address, true);
    view.setBigUint64(at + 16, ip, true);
    view.setUint32(at + 24, errorCode, true);
  }
  view.setBigUint64(16, last, true);
  return page;
}
