import { covers } from "../covers.ts";
import type { Finding } from "../finding.ts";
import { PAGE_SIZE } from "../guest.ts";
import { rules } from "../rules.ts";
import type { TrustedRegion } from "../trusted_region.ts";
import {
  type ChangedCode,
  type ChangedWord,
  type ExaminedFinding,
  type ExaminedGuest,
  KERNEL_HALF,
  type Surroundings,
} from "./evidence.ts";
import type { KernelView, ReadBytes } from "./kernel_view.ts";
import { gather } from "./part.ts";

const WORD = 8;
const ROW = 16n;
/** Bytes that are shown before and behind a finding */
const AROUND = 32n;
/** Words of a finding that are followed */
const MAX_WORDS = 8;

/** The region that an address is in. */
export function regionOf(
  regions: readonly TrustedRegion[],
  address: bigint,
): TrustedRegion | undefined {
  return regions.find((region) => covers(region, address));
}

/** Whether a finding is about bytes at its address. */
export function isAboutMemory({ seen, rule, address }: Finding): boolean {
  const isRegister = rule === rules.controlRegisters ||
    rule === rules.systemCallEntry || rule === rules.addressSpace;
  return !isRegister && address >= KERNEL_HALF &&
    (seen !== "drift" || rule !== rules.trapTable);
}

/** Examines what a finding is about, as the guest is now. */
export function examineFinding(
  guest: ExaminedGuest,
  view: KernelView,
  regions: readonly TrustedRegion[],
  finding: Finding,
): ExaminedFinding {
  const { address, ip } = finding;
  const region = regionOf(regions, address);
  const inMemory = isAboutMemory(finding);
  const read: ReadBytes = (address, size) => guest.read(address, size);
  const trusted = region === undefined
    ? overlaid(read, finding)
    : trustedBytes(region);
  return {
    finding,
    ...(region === undefined ? {} : { region: region.name }),
    ...(inMemory
      ? { bytes: surroundings(read, trusted, region, finding) }
      : {}),
    ...(inMemory && region?.kind !== "data" && isExecutable(guest, address)
      ? { code: changedCode(read, trusted, view, finding) }
      : {}),
    words: changedWords(read, view, region, finding),
    ...(inMemory ? { walk: gather(() => guest.walk(address)) } : {}),
    ...(ip === undefined ? {} : {
      instruction: gather(() =>
        view.codeAround(read, ip, 1, (address) => address === ip)
      ),
    }),
  };
}

function lengthOf({ expected, found, attempted }: Finding): number {
  return Math.max(
    1,
    ...[expected, found, attempted].map((bytes) => bytes?.length ?? 0),
  );
}

/** Reads a trusted copy by the addresses of the guest. */
function trustedBytes({ start, trusted }: TrustedRegion): ReadBytes {
  return (address, size) => {
    const from = Number(address - start);
    return trusted.slice(from, Math.min(from + size, trusted.length));
  };
}

/** The guest's bytes with those in their places that a finding expects. */
function overlaid(read: ReadBytes, finding: Finding): ReadBytes | undefined {
  const { expected, seen } = finding;
  if (expected === undefined || seen === "drift") return undefined;
  return (address, size) => {
    const bytes = read(address, size);
    const from = Number(finding.address - address);
    for (const [at, byte] of expected.entries()) {
      if (from + at >= 0 && from + at < size) bytes[from + at] = byte;
    }
    return bytes;
  };
}

function isExecutable(guest: ExaminedGuest, address: bigint): boolean {
  const walk = gather(() => guest.walk(address));
  // Code that cannot be read is code all the same
  return "missing" in walk || walk.value.kind !== "mapped" ||
    walk.value.executable;
}

function surroundings(
  read: ReadBytes,
  trusted: ReadBytes | undefined,
  region: TrustedRegion | undefined,
  finding: Finding,
): Surroundings {
  const { address } = finding;
  const end = address +
    BigInt(finding.seen === "drift" ? WORD : lengthOf(finding));
  const page = address - address % BigInt(PAGE_SIZE);
  const first = region?.start ?? page;
  const behind = first + BigInt(region?.size ?? PAGE_SIZE);
  const wanted = (address - AROUND) / ROW * ROW;
  const start = wanted > first ? wanted : first;
  const last = (end + AROUND + ROW - 1n) / ROW * ROW;
  const size = Number((last < behind ? last : behind) - start);
  return {
    start,
    ...(trusted === undefined
      ? {}
      : { expected: gather(() => trusted(start, size)) }),
    found: gather(() => read(start, size)),
  };
}

function changedCode(
  read: ReadBytes,
  trusted: ReadBytes | undefined,
  view: KernelView,
  finding: Finding,
): ChangedCode {
  const { address } = finding;
  const differs = (mine: Uint8Array, other: ReadBytes, at: bigint) => {
    const theirs = gather(() => other(at, mine.length));
    return "value" in theirs &&
      mine.some((byte, at) => byte !== theirs.value[at]);
  };
  const code = (mine: ReadBytes, other: ReadBytes) =>
    gather(() =>
      view.codeAround(
        mine,
        address,
        lengthOf(finding),
        (at, bytes) => differs(bytes, other, at),
      )
    );
  if (trusted !== undefined) {
    return { expected: code(trusted, read), found: code(read, trusted) };
  }
  return {
    expected: { missing: "no trusted copy has this code" },
    found: gather(() => view.codeAround(read, address, 1, () => false)),
  };
}

/** The words of a finding that differ, where it shows words. */
function changedWords(
  read: ReadBytes,
  view: KernelView,
  region: TrustedRegion | undefined,
  finding: Finding,
): ChangedWord[] {
  const { expected, found, attempted } = finding;
  const now = attempted ?? found;
  const isCode = region?.kind === "code" && finding.seen !== "drift";
  if (expected === undefined || now === undefined || isCode) return [];
  const words: ChangedWord[] = [];
  const size = Math.min(expected.length, now.length, MAX_WORDS * WORD);
  for (let at = 0; at + WORD <= size; at += WORD) {
    const [before, after] = [wordAt(expected, at), wordAt(now, at)];
    if (before === after) continue;
    const address = finding.address + BigInt(at);
    const leadsElsewhere = after >= KERNEL_HALF &&
      finding.rule !== rules.pageTables;
    words.push({
      ...(isAboutMemory(finding) && finding.seen !== "drift"
        ? { address, symbol: view.describe(address) }
        : {}),
      expected: view.word(before),
      found: view.word(after),
      ...(leadsElsewhere
        ? {
          code: gather(() =>
            view.codeAround(read, after, 1, (address) => address === after)
          ),
        }
        : {}),
    });
  }
  return words;
}

function wordAt({ buffer, byteOffset }: Uint8Array, at: number): bigint {
  return new DataView(buffer, byteOffset).getBigUint64(at, true);
}
