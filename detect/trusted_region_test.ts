import { assertEquals, assertThrows } from "@std/assert";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import { elfHash } from "./elf_hash.ts";
import { guardedKernel, LIMITS } from "./testing/guarded_kernel.ts";
import { hashPages, trustRegion } from "./trusted_region.ts";

Deno.test("the kernel file's bytes are trusted, whatever the guest holds", () => {
  const { guest, profile } = guardedKernel();
  guest.write(LIMITS, [0xee]);
  const region = trustRegion(guest, profile.regions[2]!);
  assertEquals(region.source, "kernel file");
  assertEquals(region.trusted, new Uint8Array(4096).fill(0x11));
});

Deno.test("with no kernel file the first reading is trusted, and said so", () => {
  const { guest, profile } = guardedKernel();
  guest.write(LIMITS, [0xee]);
  const { trusted: _, ...untold } = profile.regions[2]!;
  const region = trustRegion(guest, untold);
  assertEquals(region.source, "first reading");
  assertEquals(region.trusted[0], 0xee);
  guest.write(LIMITS, [0xdd]);
  assertEquals(region.trusted[0], 0xee);
});

Deno.test("bytes that are only a checked first reading are named as such", () => {
  const { guest, profile } = guardedKernel();
  const region = { ...profile.regions[2]!, isFirstReading: true };
  const { source, trusted } = trustRegion(guest, region);
  assertEquals(source, "first reading");
  assertEquals(trusted, new Uint8Array(4096).fill(0x11));
});

Deno.test("a first reading that fails trusts nothing", () => {
  const { guest, profile } = guardedKernel();
  const { trusted: _, ...untold } = profile.regions[2]!;
  guest.unmap(LIMITS);
  assertThrows(() => trustRegion(guest, untold), UnreadableMemoryError);
});

Deno.test("the record has the SHA-256 of the trusted bytes", () => {
  const { guest, profile } = guardedKernel();
  const zeros = { ...profile.regions[2]!, trusted: new Uint8Array(4096) };
  assertEquals(
    trustRegion(guest, zeros).sha256,
    "ad7facb2586fc6e966c004d7d1d16b024f5805ff7cb47c7a85dabd8b48892ca7",
  );
});

Deno.test("each page has its own hash", () => {
  const bytes = new Uint8Array(2 * 4096);
  bytes[4096] = 7;
  assertEquals(
    hashPages(bytes),
    Uint32Array.of(0, elfHash(bytes.subarray(4096))),
  );
});
