import { UnreadableMemoryError } from "../guestos/memory.ts";
import type { FaultRecord } from "../guestos/profile.ts";
import type { SymbolTable } from "../guestos/symbol_table.ts";
import { covers } from "./covers.ts";
import type { Finding } from "./finding.ts";
import type { Guest } from "./guest.ts";
import { nameAsset } from "./name_asset.ts";
import { rules } from "./rules.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/** Page-fault error code (Intel SDM vol. 3A, 4.7): page present, a write */
const PRESENT = 1;
const WRITE = 2;
/** Bytes at the address that a finding shows */
const SHOWN = 8;

/**
 * Judges a page fault that the guest announced: a write to a protected region
 * that its read-only pages stopped. Other faults are the guest's own matter.
 *
 * @param record What the guest's handler wrote; a hint, no proof
 */
export function judgeWriteFault(
  guest: Guest,
  symbols: SymbolTable,
  regions: readonly TrustedRegion[],
  record: FaultRecord,
): Finding | undefined {
  const { address, ip, errorCode, cpu } = record;
  if ((errorCode & PRESENT) === 0 || (errorCode & WRITE) === 0) return;
  const region = regions.find((region) => covers(region, address));
  if (region === undefined) return;
  const rule = region.kind === "code" ? rules.kernelText : rules.invariantData;
  const offset = Number(address - region.start);
  const expected = region.trusted.slice(offset, offset + SHOWN);
  const found = readIfPossible(guest, address, expected.length);
  return nameAsset({
    rule,
    seen: "fault",
    method: "direct write",
    what: region.name,
    address,
    symbol: symbols.describe(address),
    summary: "a write was stopped by the read-only page",
    ...(found === undefined ? {} : { expected, found }),
    ip,
    ipSymbol: symbols.describe(ip),
    vcpu: cpu,
    key: `${rule.id} fault ${address.toString(16)} ${ip.toString(16)}`,
  }, region);
}

/** Bytes of the guest; the comparison tells what is unreadable. */
function readIfPossible(
  guest: Guest,
  address: bigint,
  length: number,
): Uint8Array | undefined {
  try {
    return guest.read(address, length);
  } catch (error) {
    if (error instanceof UnreadableMemoryError) return undefined;
    throw error;
  }
}
