import { contentDetectors } from "../../detect/detectors.ts";
import type { Told } from "../../detect/finding.ts";
import type { TrustedRegion } from "../../detect/trusted_region.ts";
import type { Profile } from "../../guestos/profile.ts";
import { seededRandom } from "../../guestos/testing/seeded_random.ts";
import type { CoreGuest } from "../../xen/core_guest.ts";

const PAGE_SIZE = 4096;

/** Single bytes that were changed. */
export interface Flips {
  readonly flips: number;
  readonly found: number;
  /** More that were changed to what the kernel itself may write there */
  readonly legitimate: number;
}

/**
 * Changes single bytes at random, one at a time, and sees whether the rules on
 * contents find them.
 *
 * @param flips How many
 */
export function flipBytes(
  guest: CoreGuest,
  profile: Profile,
  regions: readonly TrustedRegion[],
  flips: number,
): Flips {
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
  profile: Profile,
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
