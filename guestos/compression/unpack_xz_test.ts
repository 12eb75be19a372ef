import { assertEquals, assertLess, assertThrows } from "@std/assert";
import { crc32 } from "node:zlib";
import { assertSameBytes } from "../testing/assert_same_bytes.ts";
import { pipeThrough } from "../testing/pipe_through.ts";
import { seededRandom } from "../testing/seeded_random.ts";
import { unpackXz } from "./unpack_xz.ts";

const LINUX = ["--check=crc32", "--x86", "--lzma2=dict=32MiB"] as const;

/** Bytes that mostly repeat earlier ones, at a new or a recent distance. */
function repetitive(size: number): Uint8Array<ArrayBuffer> {
  const random = seededRandom(size);
  const bytes = new Uint8Array(size);
  let recent: number[] = [];
  let at = 0;
  while (at < size) {
    const length = Math.min(1 + random(40), size - at);
    if (at === 0 || random(3) === 0) {
      for (let i = 0; i < length; i++) bytes[at + i] = random(256);
    } else {
      const distance = recent[random(6)] ?? 1 + random(at);
      recent = [distance, ...recent.filter((it) => it !== distance)].slice(
        0,
        4,
      );
      for (let i = at; i < at + length; i++) bytes[i] = bytes[i - distance]!;
    }
    at += length;
  }
  return bytes;
}

/** Bytes that an x86 filter finds jumps and calls in, also overlapping ones. */
function jumps(size: number, seed: number): Uint8Array<ArrayBuffer> {
  const random = seededRandom(seed);
  const likely = [0xe8, 0xe9, 0xe8, 0x00, 0xff, 0x00, 0xff, 0x01, 0xfe];
  return Uint8Array.from(
    { length: size },
    () => likely[random(12)] ?? random(256),
  );
}

/** A file whose first block header says something else, with a right CRC. */
function withBlockHeader(
  packed: Uint8Array<ArrayBuffer>,
  at: number,
  value: number,
): Uint8Array<ArrayBuffer> {
  const changed = packed.slice();
  const end = 12 + changed[12]! * 4;
  changed[12 + at] = value;
  new DataView(changed.buffer)
    .setUint32(end, crc32(changed.subarray(12, end)), true);
  return changed;
}

const content = repetitive(100_000);
const packed = await pipeThrough(content, "xz", ...LINUX);
/** Positions in a file with one block; its header has 12 bytes. */
const DATA_AT = 12 + 12;

function refused(bytes: Uint8Array, message: string, size = content.length) {
  assertThrows(() => unpackXz(bytes, size, "It"), SyntaxError, message);
}

Deno.test("what xz packs in Linux' way is unpacked", async () => {
  for (const size of [1, 4, 5, 1000, 70_000, 1_500_000]) {
    const original = repetitive(size);
    const bytes = await pipeThrough(original, "xz", ...LINUX);
    assertSameBytes(unpackXz(bytes, size, "It"), original);
  }
});

Deno.test("every setting of LZMA2 is understood", async () => {
  for (
    const options of [
      "preset=0",
      "preset=9e",
      "dict=4KiB",
      "lc=0,lp=0,pb=0",
      "lc=4,lp=0,pb=4",
      "lc=0,lp=4,pb=0",
      "lc=1,lp=3,pb=1",
      "mode=fast,mf=hc3,nice=273",
    ]
  ) {
    const bytes = await pipeThrough(
      content,
      "xz",
      "--check=crc32",
      `--lzma2=${options}`,
    );
    assertSameBytes(unpackXz(bytes, content.length, options), content);
  }
});

Deno.test("bytes that cannot be packed are unpacked", async () => {
  const random = seededRandom(1);
  const original = Uint8Array.from({ length: 300_000 }, () => random(256));
  original.fill(7, 100_000, 200_000);
  const bytes = await pipeThrough(original, "xz", ...LINUX);
  assertSameBytes(unpackXz(bytes, original.length, "It"), original);
});

Deno.test("jumps that the filter for x86 code made absolute are relative again", async () => {
  for (const size of [4, 5, 6, 9, 64, 4096, 200_000]) {
    for (const seed of [1, 2, 3]) {
      const original = jumps(size, seed);
      const bytes = await pipeThrough(original, "xz", ...LINUX);
      assertSameBytes(unpackXz(bytes, size, `${size}, ${seed}`), original);
    }
  }
});

Deno.test("each of several blocks is unpacked by itself", async () => {
  const original = jumps(200_000, 4);
  // With threads, the headers of the blocks state their sizes
  for (const threads of ["--threads=1", "--threads=2"]) {
    const bytes = await pipeThrough(
      original,
      "xz",
      ...LINUX,
      threads,
      "--block-size=30000",
    );
    assertSameBytes(unpackXz(bytes, original.length, threads), original);
  }
});

Deno.test("more blocks than a kernel has are refused", async () => {
  const bytes = await pipeThrough(
    new Uint8Array(1025),
    "xz",
    ...LINUX,
    "--block-size=1",
  );
  refused(bytes, "has more than 1024 blocks", 1025);
});

Deno.test("checks that Linux does not make are refused by their name", async () => {
  for (
    const [check, name] of [
      ["none", "none"],
      ["crc64", "CRC64"],
      ["sha256", "SHA-256"],
    ] as const
  ) {
    const bytes = await pipeThrough(content, "xz", `--check=${check}`);
    refused(bytes, `It has checks that are not CRC32: ${name}`);
  }
});

Deno.test("another version of the file format is refused", () => {
  const changed = packed.slice();
  changed[6] = 1;
  const crc = crc32(changed.subarray(6, 8));
  new DataView(changed.buffer).setUint32(8, crc, true);
  refused(changed, "It is of an unknown version of XZ");
});

Deno.test("filters that are not for x86 kernels are refused", async () => {
  for (
    const filters of [["--delta"], ["--arm"], ["--x86", "--x86"], [
      "--x86=start=16",
    ]]
  ) {
    const bytes = await pipeThrough(
      content,
      "xz",
      "--check=crc32",
      ...filters,
      "--lzma2",
    );
    refused(bytes, "packed by more than x86 and LZMA2");
  }
});

Deno.test("a header of a block that lies is refused, though its checksum is right", () => {
  // Size, flags, x86 and its 0 parameters, LZMA2 and its 1 parameter, padding
  assertEquals([...packed.subarray(12, 20)], [2, 1, 4, 0, 0x21, 1, 26, 0]);
  for (
    const [at, value, message] of [
      [1, 0x05, "packed by more than x86 and LZMA2"],
      [1, 0x00, "padding that is not zero"],
      [1, 0x02, "It, in the header of a block, ends too early"],
      [2, 0x84, "malformed number"],
      [2, 0x03, "packed by more than x86 and LZMA2"],
      [3, 0xff, "ends too early"],
      [4, 0x22, "packed by more than x86 and LZMA2"],
      [6, 41, "packed by more than x86 and LZMA2"],
      // A dictionary of 4 KiB, beyond which the matches reach
      [6, 0, "damaged LZMA2 data"],
      [7, 1, "padding that is not zero"],
    ] as const
  ) {
    refused(withBlockHeader(packed, at, value), message);
  }
});

Deno.test("sizes in the header of a block that lie are refused", async () => {
  const sized = await pipeThrough(
    content,
    "xz",
    ...LINUX,
    "--threads=2",
    "--block-size=200KiB",
  );
  // Both sizes are there, in so many bytes each
  assertEquals(sized[13], 0xc1);
  const packedEnd = 2 + sized.subarray(14).findIndex((byte) => byte < 0x80);
  for (const at of [2, packedEnd + 1]) {
    refused(
      withBlockHeader(sized, at, sized[12 + at]! ^ 1),
      "It has a block of another size than its header states",
    );
  }
});

Deno.test("LZMA2 data that cannot be are refused", () => {
  assertEquals(packed[DATA_AT], 0xe1);
  for (
    const [at, value, message] of [
      // No such chunk; one that resets no dictionary, or has no parameters
      [0, 0x03, "damaged LZMA2 data"],
      [0, 0xc1, "damaged LZMA2 data"],
      [0, 0x02, "damaged LZMA2 data"],
      // Larger than what it unpacks to
      [0, 0xff, "unpacks to more than the 100000 bytes it states"],
      // Smaller, so that packed bytes are left
      [2, 0x00, "damaged LZMA2 data"],
      [3, 0x00, "damaged LZMA2 data"],
      // No such parameters, and LZMA's but not LZMA2's
      [5, 225, "damaged LZMA2 data"],
      [5, 8 + 9 * 4, "damaged LZMA2 data"],
      [6, 1, "damaged LZMA2 data"],
    ] as const
  ) {
    const changed = packed.slice();
    changed[DATA_AT + at] = value;
    refused(changed, message);
  }
});

/** A file with other bytes in place of a range of its data. */
function spliced(
  original: Uint8Array,
  at: number,
  removed: number,
  ...inserted: number[]
): Uint8Array {
  const bytes = [...original];
  bytes.splice(DATA_AT + at, removed, ...inserted);
  return Uint8Array.from(bytes);
}

Deno.test("a chunk that leaves packed bytes over is refused", () => {
  const size = packed[DATA_AT + 3]! * 256 + packed[DATA_AT + 4]! + 1;
  const longer = spliced(packed, 6 + size, 0, 0);
  new DataView(longer.buffer).setUint16(DATA_AT + 3, size);
  refused(longer, "damaged LZMA2 data");
});

Deno.test("a match that goes on after its chunk is refused", async () => {
  const ending = content.slice();
  ending.fill(7, -100);
  const changed = await pipeThrough(ending, "xz", ...LINUX);
  const view = new DataView(changed.buffer);
  view.setUint16(DATA_AT + 1, view.getUint16(DATA_AT + 1) - 1);
  refused(changed, "damaged LZMA2 data");
});

Deno.test("a chunk that follows one without parameters must bring its own", async () => {
  const plain = await pipeThrough(
    content,
    "xz",
    "--check=crc32",
    "--x86",
    "--lzma2=lc=0,lp=0,pb=0",
  );
  assertEquals([plain[DATA_AT], plain[DATA_AT + 5]], [0xe1, 0]);
  const start = plain.subarray(DATA_AT + 1, DATA_AT + 5);
  const size = content.length + 1;
  // One byte as it is, then the chunk without its byte of parameters
  const without = spliced(plain, 0, 6, 1, 0, 0, 0x41, 0xa1, ...start);
  refused(without, "damaged LZMA2 data", size);
  const whole = spliced(plain, 0, 6, 1, 0, 0, 0x41, 0xc1, ...start, 0);
  refused(whole, "wrong checksum of a block", size);
});

Deno.test("a chunk of a kind that does not exist is refused", () => {
  for (const control of [3, 0x7f]) {
    const changed = spliced(packed, 0, 0, 1, 0, 0, 0x41, control, 0, 0, 0x41);
    refused(changed, "damaged LZMA2 data");
  }
});

Deno.test("a footer that tells of another stream is refused", () => {
  const footerAt = packed.length - 12;
  for (const [at, value] of [[4, 0xff], [7, 1], [8, 1], [9, 4]] as const) {
    const changed = packed.slice();
    changed[footerAt + at] = value;
    const crc = crc32(changed.subarray(footerAt + 4, footerAt + 10));
    new DataView(changed.buffer).setUint32(footerAt, crc, true);
    refused(changed, "It has a footer that does not fit");
  }
});

Deno.test("each part of the file that is wrong is told", () => {
  const changes: [number, string][] = [
    [0, "does not begin with XZ's magic"],
    [8, "wrong checksum of its header"],
    [14, "wrong checksum of the header of a block"],
    [packed.length - 1, "footer that does not fit"],
    [packed.length - 12, "wrong checksum of its footer"],
    [packed.length - 16, "wrong checksum of its index"],
    [packed.length - 19, "index of other blocks"],
    [packed.length - 28, "wrong checksum of a block"],
  ];
  for (const [at, message] of changes) {
    const changed = packed.slice();
    changed[at]! ^= 1;
    refused(changed, message);
  }
});

Deno.test("a file that is cut short or goes on is refused", () => {
  for (let size = 0; size < packed.length; size += size < 100 ? 1 : 997) {
    assertThrows(
      () => unpackXz(packed.subarray(0, size), content.length, "It"),
      SyntaxError,
    );
  }
  refused(packed.subarray(0, -1), "ends too early");
  refused(new Uint8Array([...packed, 0, 0, 0, 0]), "goes on after its end");
});

Deno.test("a size that is not what comes out is refused", () => {
  refused(packed, "more than the 99999 bytes", content.length - 1);
  refused(
    packed,
    "It unpacks to 100000 bytes, not to the 100001 bytes it states",
    content.length + 1,
  );
});

Deno.test("8 MiB of code are unpacked in seconds", async () => {
  const original = new Uint8Array(8 * 1024 * 1024);
  const part = repetitive(2 * 1024 * 1024);
  for (let at = 0; at < original.length; at += part.length) {
    original.set(part, at);
  }
  const bytes = await pipeThrough(original, "xz", ...LINUX, "-0");
  const started = performance.now();
  const unpacked = unpackXz(bytes, original.length, "It");
  assertLess(performance.now() - started, 10_000);
  assertEquals(crc32(unpacked), crc32(original));
});
