import { contentDetectors } from "../../detect/detectors.ts";
import type { Told } from "../../detect/finding.ts";
import { scanGuest } from "../../detect/scan_guest.ts";
import {
  type TrustedRegion,
  trustRegion,
} from "../../detect/trusted_region.ts";
import { KernelFile } from "../../guestos/kernel_file.ts";
import { imageOfMemory } from "../../guestos/linux/image_of_memory.ts";
import { linux } from "../../guestos/linux/linux.ts";
import { locateKernel } from "../../guestos/linux/locate_kernel.ts";
import { seededRandom } from "../../guestos/testing/seeded_random.ts";
import { CoreGuest } from "../../xen/core_guest.ts";
import { headerOffsets } from "./header_offsets.ts";
import type { LinuxCore } from "./linux_core.ts";

const PAGE_SIZE = 4096;

/** What a core of a clean guest shows of xkmon. */
export interface CoreCheck {
  /** What the guest itself says, and how many of that the profile has not */
  readonly symbols: number;
  readonly unequalSymbols: number;
  /** Sizes and offsets of the headers, and those that the profile has not */
  readonly offsets: number;
  readonly unequalOffsets: readonly string[];
  /** Milliseconds from the open core to symbols and types */
  readonly profileMs: number;
  /** Findings and places that could not be told, of the clean core */
  readonly residue: readonly string[];
  readonly pages: number;
  /** Single bytes that were changed, and those that were found */
  readonly flips: number;
  readonly found: number;
  /** More that were changed to what the kernel itself may write there */
  readonly legitimate: number;
}

/**
 * Checks the profile and the verdict on the core of a clean guest.
 *
 * @param flips How many single bytes of text and read-only data to change, one
 *   at a time, at random
 */
export async function checkCore(
  { version, core, kallsyms, kernel }: LinuxCore,
  flips: number,
): Promise<CoreCheck> {
  using guest = new CoreGuest(core);
  const start = performance.now();
  const fromMemory = imageOfMemory(guest, locateKernel(guest));
  const profileMs = performance.now() - start;
  const lines = (await Deno.readTextFile(kallsyms)).trimEnd().split("\n")
    .filter((line) => !line.includes("\t"));
  const unequal = lines.filter((line, index) => {
    const symbol = fromMemory.symbols[index];
    return symbol === undefined || line !==
        `${
          symbol.address.toString(16).padStart(16, "0")
        } ${symbol.type} ${symbol.name}`;
  }).length + Math.abs(lines.length - fromMemory.symbols.length);

  const offsets = await headerOffsets(version, kernel.release);
  const { btf } = fromMemory;
  const unequalOffsets = [...offsets].filter(([name, value]) => {
    const [structure = "", member] = name.split(".");
    return value !==
      (member === undefined
        ? btf.sizeOf(structure)
        : btf.member(structure, member)?.offset);
  }).map(([name]) => name);

  const file = new KernelFile(kernel.image, await Deno.readFile(kernel.image));
  const profile = linux.open(file, guest);
  const { findings, unreadable } = await scanGuest(guest, profile, 0);
  const regions = profile.regions.map((region) => trustRegion(guest, region));
  return {
    symbols: lines.length,
    unequalSymbols: unequal,
    offsets: offsets.size,
    unequalOffsets,
    profileMs,
    residue: [
      ...findings.map(({ rule, symbol, summary }) =>
        `${rule.id} ${symbol}: ${summary}`
      ),
      ...unreadable.map(({ rule, what, reason }) =>
        `${rule.id} ${what}: ${reason}`
      ),
    ],
    pages: regions.reduce((sum, { size }) => sum + size / PAGE_SIZE, 0),
    ...flipBytes(guest, profile, regions, flips),
  };
}

/** Changes single bytes, and sees whether the rules on contents find them. */
function flipBytes(
  guest: CoreGuest,
  profile: ReturnType<typeof linux.open>,
  regions: readonly TrustedRegion[],
  flips: number,
): Pick<CoreCheck, "flips" | "found" | "legitimate"> {
  const random = seededRandom(1);
  const size = regions.reduce((sum, region) => sum + region.size, 0);
  let found = 0;
  let legitimate = 0;
  // Those that the kernel itself might make come on top
  for (let flip = 0; flip < flips + legitimate; flip++) {
    let at = random(size);
    const region = regions.find((region) => {
      if (at < region.size) return true;
      at -= region.size;
      return false;
    })!;
    const page = Math.floor(at / PAGE_SIZE);
    const address = region.start + BigInt(page * PAGE_SIZE);
    const bytes = guest.read(address, PAGE_SIZE);
    bytes[at % PAGE_SIZE]! ^= 1 + random(255);
    const told = judge(guest, profile, region, page, bytes);
    if (told.some((told) => "summary" in told)) found++;
    else legitimate += isLegitimate(region, address, bytes, at) ? 1 : 0;
  }
  return { flips, found, legitimate };
}

/** What the rules on contents say of a region with one page changed. */
function judge(
  guest: CoreGuest,
  profile: ReturnType<typeof linux.open>,
  region: TrustedRegion,
  page: number,
  bytes: Uint8Array<ArrayBuffer>,
): Told[] {
  const start = region.start + BigInt(page * PAGE_SIZE);
  const changed = Object.create(guest, {
    compare: { value: () => [page] },
    read: {
      value: (address: bigint, length: number) => {
        const result = guest.read(address, length);
        const from = Number(address - start);
        for (let i = 0; i < length; i++) {
          const at = from + i;
          if (at >= 0 && at < PAGE_SIZE) result[i] = bytes[at]!;
        }
        return result;
      },
    },
  });
  profile.refresh?.();
  return contentDetectors(changed, profile, [region]).flatMap((detector) => [
    ...detector.check(false),
  ]);
}

/** Whether the kernel itself may write these bytes at this place. */
function isLegitimate(
  { living, start }: TrustedRegion,
  page: bigint,
  bytes: Uint8Array,
  at: number,
): boolean {
  const state = living?.judge(start + BigInt(at), (address, size) => {
    const from = Number(address - page);
    return bytes.subarray(Math.max(from, 0), from + size);
  }).state;
  return state !== undefined && state.kind !== "foreign";
}
