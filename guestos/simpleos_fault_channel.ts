import type { FaultChannel, FaultRecord } from "./profile.ts";

const PAGE_SIZE = 4096;
/** "XKMFAULT", as a little-endian number */
const MAGIC = 0x544c5541464d4b58n;
const VERSION = 1;
const HEADER_SIZE = 64;
const RECORD_SIZE = 64;
const SLOTS = 63;

/**
 * The page on which SimpleOS announces page faults. Little endian:
 *
 * | at | header | at | record |
 * |---|---|---|---|
 * | 0 | magic "XKMFAULT" | 0 | u64 sequence |
 * | 8 | u32 version, 1 | 8 | u64 address (CR2) |
 * | 12 | u32 slots, 63 | 16 | u64 instruction pointer |
 * | 16 | u64 sequence of the last record | 24 | u32 error code |
 * | 24 | u64 system time, ns | 28 | u32 virtual CPU |
 * | 32 | u64 ticks | 32 | u64 system time, ns |
 *
 * Record n, counted from 1, is at 64 + 64 * ((n - 1) % 63).
 *
 * Source: tests/simpleos/fault_channel.c
 */
export const simpleosFaultChannel: FaultChannel = {
  refNode: "data/xkmon/fault-ref",
  portNode: "data/xkmon/fault-port",

  decode(page: Uint8Array, after: bigint): FaultRecord[] {
    if (page.byteLength !== PAGE_SIZE) {
      throw new RangeError(
        `A fault page has ${PAGE_SIZE} bytes, not ${page.byteLength}`,
      );
    }
    const view = new DataView(page.buffer, page.byteOffset, page.byteLength);
    if (
      view.getBigUint64(0, true) !== MAGIC ||
      view.getUint32(8, true) !== VERSION || view.getUint32(12, true) !== SLOTS
    ) {
      return [];
    }
    const last = view.getBigUint64(16, true);
    const records: FaultRecord[] = [];
    for (let slot = 0; slot < SLOTS; slot++) {
      const at = HEADER_SIZE + slot * RECORD_SIZE;
      const sequence = view.getBigUint64(at, true);
      // The guest clears a record's sequence before it writes the record
      if (sequence === 0n || sequence <= after || sequence > last) continue;
      if ((sequence - 1n) % BigInt(SLOTS) !== BigInt(slot)) continue;
      records.push({
        sequence,
        address: view.getBigUint64(at + 8, true),
        ip: view.getBigUint64(at + 16, true),
        errorCode: view.getUint32(at + 24, true),
        cpu: view.getUint32(at + 28, true),
      });
    }
    return records.sort((a, b) => a.sequence < b.sequence ? -1 : 1);
  },
};
