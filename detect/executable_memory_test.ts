import { assertEquals } from "@std/assert";
import type { CodeMap, OwnedCode } from "../guestos/profile.ts";
import { SymbolTable } from "../guestos/symbol_table.ts";
import { ExecutableMemory } from "./executable_memory.ts";
import { FakeClock } from "./testing/fake_clock.ts";
import { KernelGuest } from "./testing/kernel_guest.ts";

const ALL = { start: 0xffff_8000_0000_0000n, end: 0xffff_ffff_ffff_f000n };
const USUAL = { start: 0xffff_ffff_8000_0000n, end: ALL.end };
const MODULES = 0xffff_ffff_c000_0000n;
const HEAP = 0xffff_8880_0000_0000n;
const PAGE = 0x1000n;
const WRITABLE = 2n;

const CODE = new Uint8Array(4096).fill(0x90);
const TRAPS = new Uint8Array(4096).fill(0xcc);

function pages(...contents: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(4096 * contents.length);
  for (const [index, page] of contents.entries()) {
    bytes.set(page, 4096 * index);
  }
  return bytes;
}

function setUp(
  { standsStill = false, pagesByLooks }: {
    standsStill?: boolean;
    pagesByLooks?: CodeMap["pagesByLooks"];
  } = {},
) {
  const guest = new KernelGuest();
  const owners: OwnedCode[] = [];
  const unreadable: string[] = [];
  const memory = new ExecutableMemory(
    guest,
    new SymbolTable([]),
    {
      all: ALL,
      usual: USUAL,
      owners: () => owners,
      unreadable: () => unreadable,
      ...pagesByLooks === undefined ? {} : { pagesByLooks },
    },
    standsStill,
  );
  /** What one look tells: rule and place. */
  const look = (full = false) =>
    [...memory.check(full)].map((told) =>
      "reason" in told
        ? `unreadable ${told.address?.toString(16)}: ${told.reason}`
        : `${told.rule.id} ${told.address!.toString(16)}`
    );
  /** The last of so many looks. */
  const looks = (count: number, full = false) => {
    let told: string[] = [];
    for (let i = 0; i < count; i++) told = look(full);
    return told;
  };
  const add = (address: bigint, bytes: Uint8Array, writable = false) =>
    guest.mapAs(address, bytes, { executable: true, writable });
  const own = (start: bigint, end: bigint) =>
    owners.push({ name: "module lab", start, end });
  return { guest, owners, unreadable, look, looks, add, own };
}

function unowned(...addresses: readonly bigint[]): string[] {
  return addresses.map((address) => `XK-009 ${address.toString(16)}`);
}

Deno.test("memory that has an owner, and what is not executable, is no finding", () => {
  const { guest, looks, add, own } = setUp();
  add(MODULES, pages(CODE, CODE));
  own(MODULES, MODULES + 2n * PAGE);
  guest.mapAs(HEAP, pages(CODE), { writable: true });
  assertEquals(looks(5, true), []);
});

Deno.test("memory without an owner is told when three looks saw it", () => {
  const { look, add } = setUp();
  add(MODULES, pages(CODE));
  assertEquals([look(), look()], [[], []]);
  assertEquals(look(), unowned(MODULES));
  assertEquals(look(), unowned(MODULES));
});

Deno.test("of a guest that stands still one look is enough", () => {
  const { look, add } = setUp({ standsStill: true });
  add(MODULES, pages(CODE));
  assertEquals(look(), unowned(MODULES));
});

Deno.test("memory that gets an owner in time is counted anew, and has a minute to go when that is gone", () => {
  using clock = new FakeClock();
  const { owners, look, looks, add, own } = setUp();
  add(MODULES, pages(CODE));
  assertEquals(looks(2), []);
  own(MODULES, MODULES + PAGE);
  assertEquals(look(), []);
  owners.length = 0;
  clock.pass(60_000);
  assertEquals(looks(3), []);
  clock.pass(1);
  assertEquals(looks(2), []);
  assertEquals(look(), unowned(MODULES));
});

Deno.test("memory may belong to who is on a list that cannot be read, for a minute", () => {
  using clock = new FakeClock();
  const { unreadable, looks, add } = setUp();
  add(MODULES, pages(CODE));
  add(HEAP, pages(CODE), true);
  const list = [
    "unreadable undefined: the kernel's list of them cannot be " +
    "read to its end",
  ];
  const writable = [`XK-010 ${HEAP.toString(16)}`];
  unreadable.push("modules");
  assertEquals(looks(3, true), [...writable, ...list]);
  clock.pass(60_000);
  assertEquals(looks(3, true), [...writable, ...list]);
  clock.pass(1);
  const told = looks(1, true);
  assertEquals(told.filter((line) => line.startsWith("XK-009")).length, 2);
  assertEquals(told.slice(-1), list);
  unreadable.length = 0;
  assertEquals(looks(1, true).length, 3);
  unreadable.push("modules");
  assertEquals(looks(3, true), [...writable, ...list]);
});

Deno.test("an owner of a part of a page has all of it", () => {
  const { looks, add, own } = setUp();
  add(MODULES, pages(CODE, CODE, CODE, CODE, CODE));
  own(MODULES + PAGE - 1n, MODULES + PAGE);
  own(MODULES + 2n * PAGE + 8n, MODULES + 3n * PAGE + 1n);
  assertEquals(looks(3), unowned(MODULES + PAGE, MODULES + 4n * PAGE));
});

Deno.test("owners in any order, over each other and over the ends of a range, are all taken", () => {
  const { looks, add, own } = setUp();
  add(MODULES, pages(CODE, CODE, CODE, CODE, CODE, CODE));
  own(MODULES + 4n * PAGE, MODULES + 9n * PAGE);
  own(MODULES + PAGE, MODULES + 3n * PAGE);
  own(MODULES + PAGE + 8n, MODULES + PAGE + 16n);
  own(MODULES - 8n * PAGE, MODULES + 1n);
  assertEquals(looks(3), unowned(MODULES + 3n * PAGE));
});

Deno.test("pages that are full of traps are not used", () => {
  const { guest, looks, add } = setUp();
  add(MODULES, pages(TRAPS, CODE, TRAPS, TRAPS));
  assertEquals(looks(3), unowned(MODULES + PAGE));
  guest.write(MODULES + 3n * PAGE + 0xfffn, [0x90]);
  assertEquals(looks(3), unowned(MODULES + PAGE, MODULES + 3n * PAGE));
});

Deno.test("what the profile knows by its looks covers as many pages as it says", () => {
  const header = CODE.slice();
  header.set([2, 0, 0, 0]);
  const { looks, add } = setUp({
    pagesByLooks: (page) => page[0] === 2 ? 2 : 0,
  });
  add(MODULES, pages(header, CODE, CODE, TRAPS, header, CODE));
  assertEquals(looks(3), unowned(MODULES + 2n * PAGE));
});

Deno.test("what is known by its looks does not reach over an owner", () => {
  const header = CODE.slice();
  header.set([9, 0, 0, 0]);
  const { looks, add, own } = setUp({
    pagesByLooks: (page) => page[0] === 9 ? 9 : 0,
  });
  add(MODULES, pages(header, CODE, CODE));
  own(MODULES + PAGE, MODULES + 2n * PAGE);
  assertEquals(looks(3), unowned(MODULES + 2n * PAGE));
});

Deno.test("memory that is writable and executable is told, with an owner or without", () => {
  const { looks, add, own } = setUp();
  add(MODULES, pages(CODE, CODE), true);
  own(MODULES, MODULES + 2n * PAGE);
  assertEquals(looks(2), []);
  assertEquals(looks(1), [`XK-010 ${MODULES.toString(16)}`]);
});

Deno.test("memory that is writable now and then only is not told", () => {
  const { guest, look, add, own } = setUp();
  add(MODULES, pages(CODE));
  own(MODULES, MODULES + PAGE);
  for (let turn = 0; turn < 9; turn++) {
    const entry = guest.entry(MODULES);
    guest.setEntry(
      MODULES,
      turn % 3 === 2 ? entry & ~WRITABLE : entry | WRITABLE,
    );
    assertEquals(look(), []);
  }
});

Deno.test("outside of the usual range only a full look looks, and the next ones follow", () => {
  const { guest, look, looks, add } = setUp();
  add(HEAP, pages(CODE));
  assertEquals(looks(4), []);
  assertEquals(look(true), []);
  assertEquals(look(), []);
  assertEquals(look(), unowned(HEAP));
  guest.unmap(HEAP);
  assertEquals(look(), []);
  assertEquals(look(true), []);
});

Deno.test("what a look outside of the usual range found is followed, also where it is writable", () => {
  const { look, looks, add, own } = setUp();
  add(HEAP, pages(CODE, CODE), true);
  own(HEAP, HEAP + 2n * PAGE);
  assertEquals(look(true), []);
  assertEquals(looks(2), [`XK-010 ${HEAP.toString(16)}`]);
});

Deno.test("no more than 64 findings are told of one look", () => {
  const { looks, add } = setUp();
  add(MODULES, pages(...Array.from({ length: 100 }, () => CODE)));
  assertEquals(looks(3).length, 64);
});

Deno.test("tables that could not be searched are told, after the findings", () => {
  const { guest, look, add } = setUp({ standsStill: true });
  add(MODULES, pages(CODE));
  guest.complete = false;
  assertEquals(look(), [
    ...unowned(MODULES),
    "unreadable ffffffff80000000: not every page table could be searched",
  ]);
});

/** A guest with pages that are mapped and cannot be read. */
function withHole(address: bigint) {
  const all = setUp({ standsStill: true });
  all.add(MODULES, pages(CODE, CODE, CODE));
  // A frame that is none
  const flags = all.guest.entry(address) & 0xfffn;
  all.guest.setEntry(address, 0xfff_ffff_f000n | flags);
  return all;
}

Deno.test("a page that cannot be read is told, and hides no other", () => {
  for (const hole of [0n, 1n, 2n]) {
    const { look } = withHole(MODULES + hole * PAGE);
    const others = [0n, 1n, 2n].filter((page) => page !== hole);
    const told = look();
    assertEquals(
      told.filter((line) => line.startsWith("XK-009")),
      unowned(...others.map((page) => MODULES + page * PAGE)),
    );
    assertEquals(
      told.filter((line) => line.startsWith("unreadable")),
      [`unreadable ${(MODULES + hole * PAGE).toString(16)}: not-present`],
    );
  }
});

Deno.test("many pages that cannot be read are told together", () => {
  const { guest, look, add } = setUp({ standsStill: true });
  add(MODULES, pages(...Array.from({ length: 200 }, () => CODE)));
  for (let page = 0n; page < 200n; page++) {
    const address = MODULES + page * PAGE;
    guest.setEntry(address, guest.entry(address) | 0xfff_ffff_f000n);
  }
  assertEquals(look(), [
    `unreadable ${MODULES.toString(16)}: not-present, as are 63 other pages`,
  ]);
});
