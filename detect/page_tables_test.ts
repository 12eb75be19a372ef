import {
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import type { Finding } from "./finding.ts";
import { PageTables } from "./page_tables.ts";
import {
  ELSEWHERE,
  guardedKernel,
  LIMITS,
  SCRATCH,
  TABLE,
  TEXT,
} from "./testing/guarded_kernel.ts";
import { finding } from "./testing/finding.ts";
import { trustedRegions } from "./testing/trusted_regions.ts";

const ACCESSED_DIRTY = 0x60n;
const WRITABLE = 2n;
const NO_EXECUTE = 1n << 63n;

function setUp() {
  const kernel = guardedKernel();
  const { guest, profile } = kernel;
  const regions = trustedRegions(kernel);
  guest.protect(
    regions.map((region) => ({ ...region, rungs: ["protect"] as const })),
    {
      stopped: () => {},
      pauses: false,
      mayPatch: () => false,
      weakened: () => {},
    },
  );
  return { guest, tables: new PageTables(guest, profile.symbols, regions) };
}

/** What is told, and that all of it are findings. */
function findings(tables: PageTables): Finding[] {
  return [...tables.check()].map((told) => {
    if ("reason" in told) throw new Error(told.reason);
    assertEquals([told.rule.id, told.seen], ["XK-003", "drift"]);
    return told;
  });
}

function places(tables: PageTables): [string | undefined, bigint][] {
  return findings(tables).map(({ drift, address }) => [drift, address]);
}

Deno.test("page tables that stay as they were give no finding", () => {
  assertEquals(findings(setUp().tables), []);
});

Deno.test("accessed and dirty bits are the processor's own", () => {
  const { guest, tables } = setUp();
  guest.setEntry(TABLE, guest.entry(TABLE) | ACCESSED_DIRTY);
  guest.upperEntries[2]! |= ACCESSED_DIRTY;
  assertEquals(findings(tables), []);
});

Deno.test("a page that was made writable is found", () => {
  const { guest, tables } = setUp();
  guest.setEntry(TABLE, guest.entry(TABLE) | WRITABLE);
  assertEquals(places(tables), [["writable", TABLE]]);
  const [{ expected, found, what }] = findings(tables) as [Finding];
  assertEquals(what, "sys_call_table");
  assertEquals([expected![0]! & 2, found![0]! & 2], [0, 2]);
});

Deno.test("a page that was swapped is found, also where it is read-only", () => {
  const { guest, tables } = setUp();
  guest.map(ELSEWHERE, guest.read(LIMITS, 4096));
  const before = guest.frame(LIMITS);
  guest.mapFrame(LIMITS, guest.frame(ELSEWHERE), false);
  assertEquals(places(tables), [["swapped", LIMITS]]);
  assertMatch(
    findings(tables)[0]!.summary,
    new RegExp(
      `frame 0x${before.toString(16)} became 0x${
        guest.frame(ELSEWHERE).toString(16)
      }`,
    ),
  );
});

Deno.test("a page that is not mapped any more is found", () => {
  const { guest, tables } = setUp();
  guest.unmap(TEXT + 0x1000n);
  assertEquals(places(tables), [["unmapped", TEXT + 0x1000n]]);
});

Deno.test("other changes of an entry are found, also of upper tables", () => {
  const { guest, tables } = setUp();
  guest.setEntry(LIMITS, guest.entry(LIMITS) | NO_EXECUTE);
  assertEquals(places(tables), [["entry", LIMITS]]);
  assertMatch(findings(tables)[0]!.summary, /^level 1 /);
  const upper = setUp();
  upper.guest.upperEntries[1]! |= 4n;
  assertEquals(places(upper.tables), [
    ["entry", TEXT],
    ["entry", TEXT + 0x1000n],
    ["entry", TABLE],
    ["entry", LIMITS],
  ]);
  assertMatch(findings(upper.tables)[0]!.summary, /^level 3 /);
});

Deno.test("a writable second mapping is found, a read-only one is not", () => {
  const { guest, tables } = setUp();
  guest.mapFrame(ELSEWHERE, guest.frame(TABLE), false);
  assertEquals(findings(tables), []);
  guest.mapFrame(ELSEWHERE, guest.frame(TABLE), true);
  assertEquals(places(tables), [["alias", TABLE]]);
  assertMatch(findings(tables)[0]!.summary, /at 0xffffffff80009000$/);
});

Deno.test("a page that is mapped many times is told once, and again when there are more", () => {
  const { guest, tables } = setUp();
  const map = (from: bigint, to: bigint) => {
    for (let page = from; page < to; page++) {
      guest.mapFrame(ELSEWHERE + page * 0x1000n, guest.frame(TABLE), true);
    }
  };
  map(0n, 1000n);
  const [first, ...rest] = findings(tables);
  assertEquals(rest, []);
  assertMatch(first!.summary, /1000 other writable mappings, the first at 0x/);
  map(1000n, 1001n);
  assertNotEquals(findings(tables)[0]!.key, first!.key);
});

Deno.test("pages that are not protected may be mapped in any way", () => {
  const { guest, tables } = setUp();
  guest.mapFrame(ELSEWHERE, guest.frame(SCRATCH), true);
  guest.unmap(SCRATCH);
  assertEquals(findings(tables), []);
});

Deno.test("tables that could not be searched are told after the findings", () => {
  const { guest, tables } = setUp();
  guest.mapFrame(ELSEWHERE, guest.frame(TABLE), true);
  guest.complete = false;
  const told = [...tables.check()];
  assertEquals(told.length, 2);
  assertEquals("drift" in told[0]! && told[0].drift, "alias");
  assertMatch("reason" in told[1]! ? told[1].reason : "", /page table/);
});

Deno.test("a page that was not mapped at the start is not taken for another", () => {
  const kernel = guardedKernel();
  const { guest, profile } = kernel;
  const regions = trustedRegions(kernel);
  guest.protect(
    regions.map((region) => ({ ...region, rungs: ["protect"] as const })),
    {
      stopped: () => {},
      pauses: false,
      mayPatch: () => false,
      weakened: () => {},
    },
  );
  guest.unmap(TEXT);
  const tables = new PageTables(guest, profile.symbols, regions);
  guest.setEntry(TEXT + 0x1000n, guest.entry(TEXT + 0x1000n) | WRITABLE);
  const told = [...tables.check()];
  assertEquals(told.map(({ address }) => address), [TEXT, TEXT + 0x1000n]);
  assertEquals("reason" in told[0]!, true);
  assertEquals("drift" in told[1]! && told[1].drift, "writable");
});

/** Puts right what is found; returns what is found then. */
function restore(
  { guest, tables }: ReturnType<typeof setUp>,
): [string | undefined, bigint][] {
  for (const finding of findings(tables)) tables.remedy(finding)?.(guest);
  return places(tables);
}

Deno.test("entries of every level are put back, and other pages keep theirs", () => {
  const all = setUp();
  const { guest } = all;
  const before = [TEXT, TABLE, LIMITS, SCRATCH].map((at) => guest.entry(at));
  const upper = [...guest.upperEntries];
  guest.setEntry(TABLE, guest.entry(TABLE) | WRITABLE);
  guest.setEntry(LIMITS, guest.entry(SCRATCH));
  guest.upperEntries[2]! |= NO_EXECUTE;
  assertEquals(restore(all), []);
  assertEquals(
    [TEXT, TABLE, LIMITS, SCRATCH].map((at) => guest.entry(at)),
    before,
  );
  assertEquals(guest.upperEntries, upper);
});

Deno.test("a page that is gone leads to its frame again", () => {
  const all = setUp();
  const { guest } = all;
  const before = guest.entry(TABLE);
  guest.unmap(TABLE);
  assertEquals(places(all.tables), [["unmapped", TABLE]]);
  assertEquals(restore(all), []);
  assertEquals(guest.entry(TABLE), before);
});

Deno.test("a second mapping is made read-only and stays", () => {
  const all = setUp();
  const { guest } = all;
  guest.mapFrame(ELSEWHERE, guest.frame(TABLE));
  assertEquals(restore(all), []);
  assertEquals(guest.frame(ELSEWHERE), guest.frame(TABLE));
});

Deno.test("what nobody made read-only is put back as writable as it was", () => {
  const kernel = guardedKernel();
  const { guest, profile } = kernel;
  const regions = trustedRegions(kernel).map((region) => ({
    ...region,
    writable: true,
  }));
  const [known, added] = [SCRATCH + 0x1000n, SCRATCH + 0x2000n];
  guest.mapFrame(known, guest.frame(TABLE));
  const tables = new PageTables(guest, profile.symbols, regions);
  const before = [TABLE, LIMITS, known].map((at) => guest.entry(at));
  guest.mapFrame(added, guest.frame(TABLE));
  guest.setEntry(LIMITS, guest.entry(SCRATCH));
  assertEquals(restore({ guest, tables }), []);
  assertEquals([TABLE, LIMITS, known].map((at) => guest.entry(at)), before);
  assertEquals(guest.entry(added) & WRITABLE, 0n);
});

Deno.test("under a table that is another one nothing is written", () => {
  const { guest, tables } = setUp();
  guest.setEntry(TABLE, guest.entry(TABLE) | WRITABLE);
  const [finding] = findings(tables) as [Finding];
  const walks = guest.walks.bind(guest);
  guest.walks = (start, size) =>
    walks(start, size).map((walk) => ({
      ...walk,
      steps: walk.steps.map((step) => ({ ...step, table: 99n })),
    }));
  guest.calls.length = 0;
  assertThrows(
    () => tables.remedy(finding)!(guest),
    RangeError,
    "the level 4 page table is another one",
  );
  assertEquals(guest.calls, []);
});

Deno.test("what other rules find is not for page tables to put right", () => {
  const { tables } = setUp();
  assertEquals(tables.remedy(finding({ address: TABLE })), undefined);
});
