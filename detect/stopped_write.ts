import type { SymbolTable } from "../guestos/symbol_table.ts";
import type { StoppedWrite, TableEntry } from "../xen/protection.ts";
import { covers } from "./covers.ts";
import type { Finding } from "./finding.ts";
import { type Guest, PAGE_SIZE } from "./guest.ts";
import { littleEndian } from "./little_endian.ts";
import { nameAsset } from "./name_asset.ts";
import { rules } from "./rules.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/** Bytes that a finding shows */
const SHOWN = 64;
/** The same where nobody tells how many there were */
const WORD = 8;

/**
 * Judges a write that did not land: which region it was meant for, or which
 * region an entry of a page table leads to. Whoever writes there is no part of
 * the kernel's own work.
 *
 * @returns Nothing if no region has that frame, or entry, any more
 */
export function judgeStoppedWrite(
  guest: Guest,
  symbols: SymbolTable,
  regions: readonly TrustedRegion[],
  write: StoppedWrite,
): Finding | undefined {
  const { entry } = write;
  return entry === undefined
    ? judgePage(guest, symbols, regions, write)
    : judgeEntry(guest, symbols, regions, { ...write, entry });
}

function judgePage(
  guest: Guest,
  symbols: SymbolTable,
  regions: readonly TrustedRegion[],
  { frame, offset, data, size = data?.length ?? WORD, ip, vcpu }: StoppedWrite,
): Finding | undefined {
  for (const region of regions) {
    const page = guest.walks(region.start, region.size).findIndex((walk) =>
      walk.kind === "mapped" && walk.frame === frame
    );
    if (page < 0) continue;
    const at = page * PAGE_SIZE + offset;
    const address = region.start + BigInt(at);
    const rule = region.kind === "code"
      ? rules.kernelText
      : rules.invariantData;
    const shown = Math.min(size, SHOWN, region.size - at);
    return nameAsset({
      rule,
      seen: "stop",
      method: "direct write",
      what: region.name,
      address,
      symbol: symbols.describe(address),
      summary: "a write was stopped before it landed",
      expected: region.trusted.slice(at, at + shown),
      ...(data === undefined ? {} : { attempted: data.slice(0, shown) }),
      ip,
      ipSymbol: symbols.describe(ip),
      vcpu,
      key: `${rule.id} stop ${address.toString(16)} ${ip.toString(16)}`,
    }, region);
  }
  return undefined;
}

function judgeEntry(
  guest: Guest,
  symbols: SymbolTable,
  regions: readonly TrustedRegion[],
  { ip, vcpu, entry }: StoppedWrite & { readonly entry: TableEntry },
): Finding | undefined {
  const { level, address } = entry;
  const region = regions.find((region) => covers(region, address));
  if (region === undefined) return undefined;
  const page = Number(address - region.start) / PAGE_SIZE;
  const step = guest.walks(region.start, region.size)[page]?.steps
    .find((step) => step.level === level);
  const rule = rules.pageTables;
  return {
    rule,
    seen: "stop",
    drift: "entry",
    method: "direct write",
    what: region.name,
    address,
    symbol: symbols.describe(address),
    summary: `a write to the level ${level} page-table entry of it was ` +
      "stopped before it landed",
    ...(step === undefined ? {} : { expected: littleEndian(step.entry) }),
    ip,
    ipSymbol: symbols.describe(ip),
    vcpu,
    key: `${rule.id} stop ${address.toString(16)} ${level} ${ip.toString(16)}`,
  };
}
