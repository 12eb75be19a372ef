import { assert, assertEquals, assertLess } from "@std/assert";
import { seededRandom } from "../testing/seeded_random.ts";
import { findKallsyms } from "./kallsyms.ts";
import type { KernelSymbol } from "./kernel_symbols.ts";
import {
  kallsymsImage,
  type KallsymsLayout,
} from "./testing/kallsyms_image.ts";
import { kernelSymbols } from "./testing/kernel_symbols.ts";

const BASE = 0xffff_ffff_8100_0000n;
const START = 0xffff_ffff_8200_0000n;
const LAYOUTS: readonly KallsymsLayout[] = ["5.10", "6.1", "6.12", "7.2"];
/** What a block may take, ms: half of it is for a machine that is busy. */
const LIMIT = 4000;

const symbols = kernelSymbols({ count: 1300, base: BASE });
/** With per-CPU offsets, as all layouts but the last have them */
function symbolsFor(layout: KallsymsLayout): KernelSymbol[] {
  return kernelSymbols({
    count: 1300,
    base: BASE,
    perCpu: layout === "7.2" ? 0 : 40,
  });
}

/** Bytes that stand before a table and behind it. */
function around(
  table: Uint8Array,
  before: Uint8Array,
  after: Uint8Array,
): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(before.length + table.length + after.length);
  bytes.set(before);
  bytes.set(table, before.length);
  bytes.set(after, before.length + table.length);
  return bytes;
}

function randomBytes(size: number, seed: number): Uint8Array {
  const random = seededRandom(seed);
  return Uint8Array.from({ length: size }, () => random(256));
}

/** The table of a layout by itself. */
function tableOf(layout: KallsymsLayout, given = symbolsFor(layout)) {
  return kallsymsImage({ layout, symbols: given, start: START });
}

/** Searches a block, which must not take long. */
function search(bytes: Uint8Array): KernelSymbol[] | undefined {
  const started = performance.now();
  const found = findKallsyms({ start: START, bytes });
  assertLess(performance.now() - started, LIMIT);
  return found && [...found];
}

for (const layout of LAYOUTS) {
  Deno.test(`a table as of Linux ${layout} is decoded exactly, other data around`, () => {
    const wanted = symbolsFor(layout);
    const before = randomBytes(70_000, 2);
    const { bytes } = kallsymsImage({
      layout,
      symbols: wanted,
      start: START + BigInt(before.length),
    });
    const block = around(bytes, before, randomBytes(5000, 3));
    assertEquals(search(block), wanted);
  });

  Deno.test(`a table as of Linux ${layout} is decoded at every alignment and length`, () => {
    const unit = layout === "7.2" ? 4 : 8;
    for (let round = 0; round < 16; round++) {
      const wanted = kernelSymbols({
        count: 1000 + 37 * round,
        base: BASE,
        perCpu: layout === "7.2" ? 0 : round,
        seed: round,
      });
      const before = new Uint8Array(unit * round);
      const start = START + BigInt(before.length);
      const { bytes } = kallsymsImage({ layout, symbols: wanted, start });
      const block = around(bytes, before, new Uint8Array(round));
      assertEquals(search(block), wanted);
    }
  });

  Deno.test(`names of 128 bytes and more are decoded as of Linux ${layout}`, () => {
    const random = seededRandom(5);
    const long = [127, 128, 129, 255, 300, 511].map((length) =>
      Array.from({ length }, () => String.fromCharCode(0x21 + random(94)))
        .join("")
    );
    const wanted = kernelSymbols({ count: 1100, base: BASE, names: long });
    const { bytes } = tableOf(layout, wanted);
    assertEquals(search(bytes), wanted);
  });

  Deno.test(`a table as of Linux ${layout} that is cut off is none`, () => {
    const { bytes, offsetsAt, indexAt } = tableOf(layout);
    const behind = offsetsAt > indexAt;
    const size = behind
      ? offsetsAt + 4 * 1300 + (layout === "6.12" ? 8 : 0)
      : indexAt + 512;
    assert(search(bytes.subarray(0, size)) !== undefined);
    for (const length of [0, 3, 19, 4096, indexAt, indexAt + 511, size - 1]) {
      assertEquals(search(bytes.subarray(0, length)), undefined, `${length}`);
    }
    // And from its start on, where the count or the offsets are
    assertEquals(search(bytes.subarray(8)), undefined);
  });

  Deno.test(`a table as of Linux ${layout} with one wrong field is none`, () => {
    const table = tableOf(layout);
    const { countAt, namesAt, markersAt, tokensAt, indexAt } = table;
    const fields = {
      "number of symbols": countAt,
      "length of a name": namesAt,
      "first marker": markersAt,
      "last marker": markersAt + 4 * 5,
      "first token": tokensAt,
      "last entry of the index": indexAt + 510,
    };
    for (const [field, at] of Object.entries(fields)) {
      const bytes = table.bytes.slice();
      bytes[at] = bytes[at] === 0 ? 1 : 0;
      assertEquals(search(bytes), undefined, field);
    }
  });

  Deno.test(`addresses as of Linux ${layout} that descend are no table`, () => {
    const { bytes, offsetsAt } = tableOf(layout);
    const view = new DataView(bytes.buffer);
    const at = offsetsAt + 4 * 1000;
    const later = view.getInt32(at + 4 * 200, true);
    view.setInt32(at, layout === "7.2" ? later + 4 * 200 : later, true);
    assertEquals(search(bytes), undefined);
  });
}

for (const layout of ["5.10", "6.1", "6.12"] as const) {
  Deno.test(`a table as of Linux ${layout} without absolute per-CPU symbols is decoded`, () => {
    const { bytes } = kallsymsImage({
      layout,
      symbols,
      start: START,
      absolutePerCpu: false,
    });
    assertEquals(search(bytes), symbols);
  });
}

Deno.test("a table is found in a block that lies at any place of its buffer", () => {
  const wanted = symbolsFor("6.12");
  const { bytes } = tableOf("6.12");
  for (let shift = 0; shift < 8; shift++) {
    const buffer = around(bytes, new Uint8Array(shift), new Uint8Array(0));
    assertEquals(search(buffer.subarray(shift)), wanted);
  }
});

Deno.test("a false table of tokens before the true one hides nothing", () => {
  const wanted = symbolsFor("6.12");
  const { bytes, tokensAt, indexAt } = tableOf("6.12");
  const tokens = bytes.slice(tokensAt, indexAt + 512);
  const pad = new Uint8Array(-tokens.length & 7);
  const before = around(tokens, new Uint8Array(8), pad);
  const digits = new TextEncoder().encode("0\x001\x002\x003\x004\x005\x00");
  assertEquals(search(around(bytes, before, digits)), wanted);
});

Deno.test("a block without a table has no symbols", () => {
  for (const size of [0, 1, 4, 100, 1 << 20]) {
    assertEquals(search(new Uint8Array(size)), undefined);
    assertEquals(search(randomBytes(size, size)), undefined);
  }
});

Deno.test("addresses outside the upper half of the address space are no table", () => {
  const { bytes, offsetsAt } = tableOf("6.12");
  const view = new DataView(bytes.buffer);
  const baseAt = offsetsAt + 4 * 1300;
  for (const base of [0n, 0x7fff_ffff_ffff_0000n, (1n << 64n) - 1n]) {
    view.setBigUint64(baseAt, base, true);
    assertEquals(search(bytes), undefined, base.toString(16));
  }
});

Deno.test("tokens that are not printable are no table", () => {
  const { bytes, tokensAt } = tableOf("6.12");
  for (const byte of [0x1b, 0x20, 0x7f, 0xff]) {
    bytes[tokensAt + 400] = byte;
    assertEquals(search(bytes), undefined);
  }
});

/** A block of hostile memory, 16 MiB, that a table could be anywhere in. */
const BLOCK = 16 << 20;

/** The tokens alone with their index, at the end of a block. */
function withTokensAtEnd(): {
  block: Uint8Array<ArrayBuffer>;
  words: Uint32Array;
  tokensAt: number;
} {
  const { bytes, tokensAt, indexAt } = tableOf("6.12");
  const tokens = bytes.subarray(tokensAt, indexAt + 512);
  const block = new Uint8Array(BLOCK);
  const at = BLOCK - Math.ceil(tokens.length / 8) * 8;
  block.set(tokens, at);
  return { block, words: new Uint32Array(block.buffer), tokensAt: at };
}

Deno.test("tables of tokens all over a block cost little", () => {
  const { bytes, tokensAt, indexAt } = tableOf("6.12");
  const tokens = bytes.subarray(tokensAt, indexAt + 512);
  const block = new Uint8Array(BLOCK);
  const step = Math.ceil(tokens.length / 8) * 8;
  for (let at = 0; at + step <= BLOCK; at += step) block.set(tokens, at);
  assertEquals(search(block), undefined);
});

Deno.test("digits all over a block cost little", () => {
  const digits = new TextEncoder().encode(
    "0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00",
  );
  const block = new Uint8Array(BLOCK);
  for (let at = 0; at + 20 <= BLOCK; at += 20) block.set(digits, at);
  assertEquals(search(block), undefined);
});

Deno.test("counts all over a block cost little", () => {
  for (const count of [1000, 0x10101, 1_000_000]) {
    const { block, words, tokensAt } = withTokensAtEnd();
    words.fill(count, 0, tokensAt / 4);
    assertEquals(search(block), undefined);
  }
});

Deno.test("names that resemble each other from every place on cost little", () => {
  // One token a name: from every second byte on there are names, and markers
  // that fit; what does not fit is only told by the last of them
  for (let round = 0; round < 4; round++) {
    const { block, words, tokensAt } = withTokensAtEnd();
    block.fill(1, 0, tokensAt);
    const most = 1_000_000 - 256 * round;
    for (let count = most; count > 2000; count -= 256) {
      const size = Math.ceil(count / 256);
      const markersAt = tokensAt - 4 * size;
      const at = Math.floor((markersAt - 2 * count) / 8) * 8 - 8;
      words[at / 4] = count - round;
      for (let index = 0; index < size && count === most; index++) {
        words[markersAt / 4 + index] = 512 * index;
      }
    }
    search(block);
  }
});

Deno.test("names that expand to more than a kernel has are refused", () => {
  const count = 20_000;
  const wanted = kernelSymbols({ count: 1000, base: BASE });
  const { bytes, tokensAt, indexAt } = kallsymsImage({
    layout: "6.12",
    symbols: wanted,
    start: START,
  });
  const block = new Uint8Array(BLOCK);
  const view = new DataView(block.buffer);
  const tokens = bytes.subarray(tokensAt, indexAt + 512);
  view.setUint32(0, count, true);
  let at = 8;
  const markers: number[] = [];
  for (let index = 0; index < count; index++) {
    if (index % 256 === 0) markers.push(at - 8);
    block.set([0x80 | 500 & 0x7f, 500 >> 7], at);
    block.fill(0xff, at + 2, at + 502);
    at += 502;
  }
  at = Math.ceil(at / 8) * 8;
  for (const marker of markers) {
    view.setUint32(at, marker, true);
    at += 4;
  }
  block.set(tokens, Math.ceil(at / 8) * 8);
  assertEquals(search(block), undefined);
});
