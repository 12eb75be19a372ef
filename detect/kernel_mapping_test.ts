import { assertEquals } from "@std/assert";
import { SymbolTable } from "../guestos/symbol_table.ts";
import type { Mapped, NotMapped } from "../xen/page_walk.ts";
import type { Finding } from "./finding.ts";
import { KernelMapping } from "./kernel_mapping.ts";
import type { PageFrames } from "./moved_pages.ts";
import { KernelGuest } from "./testing/kernel_guest.ts";
import { trustRegion } from "./trusted_region.ts";

const TEXT = 0xffff_ffff_8100_0000n;
const DATA = 0xffff_ffff_8120_0000n;
const ELSEWHERE = 0xffff_8880_0000_0000n;
const PAGE = 0x1000n;
const WRITABLE = 2n;
const NO_EXECUTE = 1n << 63n;

/** Walks are given anew only when something changed, as a true guest does. */
class RememberingGuest extends KernelGuest {
  remembered: Map<bigint, readonly (Mapped | NotMapped)[]> | undefined;

  override walks(start: bigint, size: number) {
    const known = this.remembered?.get(start);
    if (known !== undefined) return known;
    const walks = super.walks(start, size);
    this.remembered?.set(start, walks);
    return walks;
  }
}

/** @param makeSo Makes the guest what it is before anything is trusted */
function setUp(
  { writable = false, moved, makeSo = () => {} }: {
    writable?: boolean;
    moved?: PageFrames;
    makeSo?: (guest: RememberingGuest) => void;
  } = {},
) {
  const guest = new RememberingGuest();
  guest.mapAs(TEXT, new Uint8Array(4 * 4096), { executable: true });
  guest.mapAs(DATA, new Uint8Array(4 * 4096));
  const regions = [
    { name: "kernel text", kind: "code", start: TEXT, size: 4 * 4096 },
    {
      name: "read-only data",
      kind: "data",
      start: DATA,
      size: 4 * 4096,
      writable,
    },
  ] as const;
  makeSo(guest);
  const symbols = new SymbolTable([
    { name: "_text", address: TEXT, size: 4 * 4096 },
    { name: "rodata", address: DATA, size: 4 * 4096 },
  ]);
  const mapping = new KernelMapping(
    guest,
    symbols,
    regions.map((region) => trustRegion(guest, region)),
    moved,
  );
  /** What is told, place by place. */
  const look = () =>
    [...mapping.check()].map((told) => [
      told.address,
      "reason" in told
        ? `unreadable: ${told.reason}`
        : `${told.drift}: ${told.summary}`,
    ]);
  const set = (address: bigint, bits: bigint) =>
    guest.setEntry(address, guest.entry(address) | bits);
  const clear = (address: bigint, bits: bigint) =>
    guest.setEntry(address, guest.entry(address) & ~bits);
  return { guest, mapping, look, set, clear };
}

Deno.test("pages that lead where they led give no finding", () => {
  assertEquals(setUp().look(), []);
});

Deno.test("a writable page of code or data is found", () => {
  const { look, set } = setUp();
  set(TEXT + PAGE, WRITABLE);
  set(DATA, WRITABLE);
  assertEquals(look(), [
    [TEXT + PAGE, "writable: page is writable"],
    [DATA, "writable: page is writable"],
  ]);
});

Deno.test("data that the kernel keeps writable may be, and nothing else", () => {
  const { look, set, clear } = setUp({ writable: true });
  set(TEXT, WRITABLE);
  set(DATA, WRITABLE);
  clear(DATA + PAGE, NO_EXECUTE);
  assertEquals(look(), [
    [TEXT, "writable: page is writable"],
    [DATA + PAGE, "entry: page of data is executable"],
  ]);
});

Deno.test("a finding says what and where, and has a key of its own", () => {
  const { mapping, set } = setUp();
  set(TEXT + PAGE, WRITABLE);
  const [told] = mapping.check();
  assertEquals(told, {
    rule: mapping.rule,
    seen: "drift",
    drift: "writable",
    what: "kernel text",
    address: TEXT + PAGE,
    symbol: "_text+0x1000",
    summary: "page is writable",
    key: "XK-003 ffffffff81001000 writable 1",
  });
});

Deno.test("a page that leads to another frame is found, whatever it holds and permits", () => {
  const { guest, look } = setUp();
  guest.mapAs(ELSEWHERE, guest.read(DATA, 4096));
  guest.setEntry(DATA, guest.entry(ELSEWHERE));
  assertEquals(look(), [[DATA, "swapped: page leads to another frame"]]);
  guest.setEntry(DATA, guest.entry(DATA) | WRITABLE);
  assertEquals(look(), [[DATA, "swapped: page leads to another frame"]]);
});

Deno.test("where a page has to lead may be known from before", () => {
  const { look } = setUp({ moved: new Map([[DATA + PAGE, 0x1234n]]) });
  assertEquals(look(), [
    [DATA + PAGE, "swapped: page leads to another frame"],
  ]);
});

Deno.test("data that is executable is found, code that is not is none", () => {
  const { look, set, clear } = setUp();
  clear(DATA + 3n * PAGE, NO_EXECUTE);
  set(TEXT, NO_EXECUTE);
  assertEquals(look(), [
    [DATA + 3n * PAGE, "entry: page of data is executable"],
  ]);
});

Deno.test("a page that is not mapped any more is told as unreadable", () => {
  const { guest, look } = setUp();
  guest.unmap(TEXT);
  assertEquals(look(), [[TEXT, "unreadable: not mapped (not-present)"]]);
});

Deno.test("pages in a row with the same to be told are told once", () => {
  const { guest, look, set, clear } = setUp();
  for (const page of [0n, 1n, 2n]) set(TEXT + page * PAGE, WRITABLE);
  for (const page of [0n, 1n]) guest.unmap(DATA + page * PAGE);
  clear(DATA + 2n * PAGE, NO_EXECUTE);
  set(DATA + 3n * PAGE, WRITABLE);
  assertEquals(look(), [
    [TEXT, "writable: page is writable, 3 pages from here"],
    [DATA, "unreadable: not mapped (not-present), 2 pages"],
    [DATA + 2n * PAGE, "entry: page of data is executable"],
    [DATA + 3n * PAGE, "writable: page is writable"],
  ]);
});

Deno.test("the same on pages that are no neighbours is told for each", () => {
  const { look, set } = setUp();
  set(TEXT, WRITABLE);
  set(TEXT + 2n * PAGE, WRITABLE);
  set(TEXT + 3n * PAGE, WRITABLE);
  assertEquals(look(), [
    [TEXT, "writable: page is writable"],
    [TEXT + 2n * PAGE, "writable: page is writable, 2 pages from here"],
  ]);
});

Deno.test("tables may be split and joined, and have other flags", () => {
  const { guest, look, set } = setUp();
  // Accessed, dirty, global
  for (const page of [0n, 1n]) set(TEXT + page * PAGE, 0x160n);
  guest.upperEntries[2]! |= 0x60n;
  assertEquals(look(), []);
  // A table of its own for the last level, as after a split
  const walks = guest.walks.bind(guest);
  guest.walks = (start, size) =>
    walks(start, size).map((walk) => ({
      ...walk,
      ...(walk.kind === "mapped" ? { pageSize: 1 << 21 } : {}),
      steps: walk.steps.slice(0, -1),
    }));
  assertEquals(look(), []);
});

Deno.test("a page that is put right again gives no finding any more", () => {
  const { look, set, clear } = setUp();
  set(TEXT, WRITABLE);
  assertEquals(look().length, 1);
  assertEquals(look().length, 1);
  clear(TEXT, WRITABLE);
  assertEquals(look(), []);
});

Deno.test("what the tables had to tell is told again as long as nothing changes", () => {
  const { guest, look, set } = setUp();
  guest.remembered = new Map();
  assertEquals(look(), []);
  assertEquals(look(), []);
  set(TEXT, WRITABLE);
  guest.remembered = new Map();
  assertEquals(look().length, 1);
  assertEquals(look().length, 1);
});

Deno.test("a page that was not mapped at the start is judged by its permissions alone", () => {
  const guest = new KernelGuest();
  guest.mapAs(TEXT, new Uint8Array(4096), { executable: true });
  const region = trustRegion(guest, {
    name: "kernel text",
    kind: "code",
    start: TEXT,
    size: 4096,
  });
  const entry = guest.entry(TEXT);
  guest.unmap(TEXT);
  const mapping = new KernelMapping(guest, new SymbolTable([]), [region]);
  assertEquals([...mapping.check()].map((told) => "reason" in told), [true]);
  guest.setEntry(TEXT, entry + 0x5000n);
  assertEquals([...mapping.check()], []);
  guest.setEntry(TEXT, entry | WRITABLE);
  assertEquals([...mapping.check()].length, 1);
});

Deno.test("a page leads to its frame again, with what a page of its kind permits", () => {
  const { guest, mapping, look, set, clear } = setUp();
  const before = [TEXT + PAGE, DATA, DATA + PAGE].map((at) => guest.entry(at));
  set(TEXT + PAGE, WRITABLE);
  guest.mapAs(ELSEWHERE, guest.read(DATA, 4096), { writable: true });
  guest.setEntry(DATA, guest.entry(ELSEWHERE));
  clear(DATA + PAGE, NO_EXECUTE);
  for (const told of [...mapping.check()]) {
    if (!("reason" in told)) mapping.remedy(told)?.(guest);
  }
  assertEquals(look(), []);
  assertEquals(
    [TEXT + PAGE, DATA, DATA + PAGE].map((at) => guest.entry(at)),
    before,
  );
});

Deno.test("data that the kernel keeps writable stays so when it is put back", () => {
  const { guest, mapping, set, clear } = setUp({ writable: true });
  set(DATA, WRITABLE);
  clear(DATA, NO_EXECUTE);
  const [told] = mapping.check();
  mapping.remedy(told as Finding)!(guest);
  assertEquals(guest.entry(DATA) & WRITABLE, WRITABLE);
  assertEquals(guest.entry(DATA) & NO_EXECUTE, NO_EXECUTE);
});

/** The pages of a region are parts of large ones from now on. */
function makeLarge(guest: RememberingGuest, pageSize = 0x20_0000) {
  const walks = guest.walks.bind(guest);
  guest.walks = (start, size) =>
    walks(start, size).map((walk) =>
      walk.kind === "mapped" ? { ...walk, pageSize } : walk
    );
}

Deno.test("the entry of a large page permits again what it did", () => {
  const { guest, mapping, look, set } = setUp({ makeSo: makeLarge });
  const before = guest.entry(TEXT);
  set(TEXT, WRITABLE);
  const [told] = mapping.check();
  mapping.remedy(told as Finding)!(guest);
  assertEquals(guest.entry(TEXT), before);
  assertEquals(look(), []);
});

Deno.test("the entry of a large page that leads elsewhere is left alone", () => {
  const { guest, mapping, set } = setUp({ makeSo: makeLarge });
  guest.setEntry(TEXT, guest.entry(DATA));
  set(TEXT, WRITABLE);
  const before = guest.entry(TEXT);
  const [told] = mapping.check();
  mapping.remedy(told as Finding)!(guest);
  assertEquals(guest.entry(TEXT), before);
});

Deno.test("the entry of a page that is large, or larger, only since then is left alone", () => {
  for (const makeSo of [undefined, makeLarge]) {
    const { guest, mapping, set } = setUp({ makeSo });
    set(TEXT, WRITABLE);
    const [told] = mapping.check();
    makeLarge(guest, 0x4000_0000);
    mapping.remedy(told as Finding)!(guest);
    assertEquals(guest.entry(TEXT) & WRITABLE, WRITABLE);
  }
});
