import type { Seed } from "./target.ts";

type Random = (below: number) => number;

const MAX_CHANGES = 5;
/** Bytes of what is copied, filled, put in or left out */
const MAX_CHUNK = 64;
/** Where counts, lengths and signs change what they mean */
const EDGES = [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff];
const WIDE_EDGES = [0x10000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, -1, -4096];

/**
 * An input made from a valid one by a few changes, most of them where damage
 * tells.
 *
 * @param random What decides all; the same gives the same
 * @param seed The valid input, which stays as it is
 * @param other Another one, of which parts may be taken
 */
export function mutate(
  random: Random,
  seed: Seed,
  other: Seed,
): Uint8Array<ArrayBuffer> {
  let bytes = seed.bytes.slice();
  for (let left = random(MAX_CHANGES); left >= 0 && bytes.length > 0; left--) {
    bytes = change(random, bytes, place(random, seed, bytes.length), other);
  }
  return bytes;
}

function place(random: Random, { ranges }: Seed, length: number): number {
  const [from, to] = ranges[random(ranges.length)]!;
  const at = random(4) === 0 ? random(length) : from + random(to - from);
  return Math.min(at, length - 1);
}

function change(
  random: Random,
  bytes: Uint8Array<ArrayBuffer>,
  at: number,
  other: Seed,
): Uint8Array<ArrayBuffer> {
  const chunk = 1 + random(MAX_CHUNK);
  switch (random(16)) {
    case 0:
    case 1:
      bytes[at]! ^= 1 << random(8);
      return bytes;
    case 2:
    case 3:
      bytes[at] = random(256);
      return bytes;
    case 4:
    case 5:
    case 6:
    case 7:
      putInteger(random, bytes, at);
      return bytes;
    case 8:
    case 9:
    case 10:
      addToInteger(random, bytes, at);
      return bytes;
    case 11: {
      const from = random(bytes.length);
      bytes.copyWithin(at, from, from + chunk);
      return bytes;
    }
    case 12: {
      const from = random(other.bytes.length);
      const part = other.bytes.subarray(from, from + chunk);
      bytes.set(part.subarray(0, bytes.length - at), at);
      return bytes;
    }
    case 13:
      bytes.fill(random(2) === 0 ? random(256) : 0xff, at, at + chunk * 8);
      return bytes;
    case 14:
      return random(4) === 0
        ? bytes.slice(0, at)
        : joined(bytes.subarray(0, at), bytes.subarray(at + chunk));
    default:
      return joined(
        bytes.subarray(0, at),
        bytes.subarray(random(bytes.length)).subarray(0, chunk),
        bytes.subarray(at),
      );
  }
}

/** Where an integer of that size is that holds a byte, if they are aligned. */
function integerAt(bytes: Uint8Array, at: number, size: number): number {
  const aligned = at - at % size;
  return Math.max(0, Math.min(aligned, bytes.length - size));
}

function putInteger(
  random: Random,
  bytes: Uint8Array<ArrayBuffer>,
  at: number,
): void {
  const size = 1 << random(4);
  const edges = [bytes.length, bytes.length - at, at, random(2 ** 32)];
  const all = [...EDGES, ...WIDE_EDGES, ...edges];
  const value = BigInt(all[random(all.length)]! - random(2));
  for (let index = 0; index < size; index++) {
    bytes[Math.min(integerAt(bytes, at, size) + index, bytes.length - 1)] =
      Number(BigInt.asUintN(8, value >> BigInt(8 * index)));
  }
}

function addToInteger(
  random: Random,
  bytes: Uint8Array<ArrayBuffer>,
  at: number,
): void {
  if (bytes.length < 4) return;
  const view = new DataView(bytes.buffer);
  const position = integerAt(bytes, at, 4);
  const step = (1 + random(16)) * (random(2) === 0 ? 1 : -1);
  view.setUint32(position, view.getUint32(position, true) + step, true);
}

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(
    parts.reduce((sum, { length }) => sum + length, 0),
  );
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
