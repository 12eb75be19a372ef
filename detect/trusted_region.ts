import type { Region } from "../guestos/profile.ts";
import { sha256 } from "../guestos/sha256.ts";
import { elfHash } from "./elf_hash.ts";
import { type Guest, PAGE_SIZE } from "./guest.ts";

/** A region with the bytes that it must have. */
export interface TrustedRegion extends Region {
  readonly trusted: Uint8Array<ArrayBuffer>;
  /** Whether the kernel file tells them, or the first reading did */
  readonly source: "kernel file" | "first reading";
  /** ELFHash of each page of the trusted bytes */
  readonly pageHashes: Uint32Array;
  /** SHA-256 of the trusted bytes, hexadecimal, for the record */
  readonly sha256: string;
}

/** ELFHash of each 4 KiB page. */
export function hashPages(bytes: Uint8Array): Uint32Array {
  return Uint32Array.from(
    { length: Math.ceil(bytes.length / PAGE_SIZE) },
    (_, page) =>
      elfHash(bytes.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE)),
  );
}

/**
 * Takes the trusted copy of a region: from the kernel file where the profile
 * has it, else as the guest's memory is now.
 *
 * @throws {UnreadableMemoryError} If the first reading is needed and fails
 */
export function trustRegion(guest: Guest, region: Region): TrustedRegion {
  const trusted = guest.trustedCopy(
    region.trusted ?? guest.read(region.start, region.size),
  );
  return {
    ...region,
    trusted,
    source: region.trusted === undefined || region.isFirstReading
      ? "first reading"
      : "kernel file",
    pageHashes: hashPages(trusted),
    sha256: sha256(trusted),
  };
}
