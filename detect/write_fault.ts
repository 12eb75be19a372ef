import type { FaultRecord, Profile } from "../guestos/profile.ts";
import type { Finding } from "./finding.ts";
import { rules } from "./rules.ts";

/** Page-fault error code (Intel SDM vol. 3A, 4.7): page present, a write */
const PRESENT = 1;
const WRITE = 2;

/**
 * Judges a page fault that the guest announced: a write to a protected region
 * that its read-only pages stopped. Other faults are the guest's own matter.
 *
 * @param record What the guest's handler wrote; a hint, no proof
 */
export function judgeWriteFault(
  profile: Profile,
  record: FaultRecord,
): Finding | undefined {
  const { address, ip, errorCode } = record;
  if ((errorCode & PRESENT) === 0 || (errorCode & WRITE) === 0) return;
  const region = profile.regions.find(({ start, size }) =>
    address >= start && address < start + BigInt(size)
  );
  if (region === undefined) return;
  const rule = region.kind === "code" ? rules.kernelText : rules.invariantData;
  const offset = Number(address - region.start);
  const expected = region.trusted?.slice(offset, offset + 8);
  return {
    rule,
    seen: "fault",
    method: "direct write",
    what: region.name,
    address,
    symbol: profile.symbols.describe(address),
    summary: "a write was stopped by the read-only page",
    // The write did not land: what is there is what must be there
    ...(expected === undefined ? {} : { expected, found: expected }),
    ip,
    ipSymbol: profile.symbols.describe(ip),
    key: `${rule.id} fault ${address.toString(16)} ${ip.toString(16)}`,
  };
}
