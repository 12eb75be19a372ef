import { assertEquals } from "@std/assert";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import type { CodeState } from "../guestos/profile.ts";
import { SymbolTable } from "../guestos/symbol_table.ts";
import { compareRegion } from "./differences.ts";
import { LivingText } from "./living_text.ts";
import { rules } from "./rules.ts";
import { FakeClock } from "./testing/fake_clock.ts";
import { SyntheticGuest } from "./testing/synthetic_guest.ts";
import { trustRegion } from "./trusted_region.ts";

const TEXT = 0xffff_ffff_8100_0000n;
const PAGES = 4;
const PLACE = 5;
const OWN = [1, 1, 1, 1, 1];
const MIDST = [2, 2, 2, 2, 2];
const HOOK = [3, 3, 3, 3, 3];
const ORIGINAL = [0x90, 0x90, 0x90, 0x90, 0x90];

/**
 * A region of NOPs that has places of 5 bytes; the first byte tells the state
 * of a place: 1 own, 2 changing, 3 a hook that is accounted for.
 */
function setUp(offsets: readonly number[] = [0x100, 0x200]) {
  const guest = new SyntheticGuest();
  guest.map(TEXT, new Uint8Array(PAGES * 4096).fill(0x90));
  const places = offsets.map((offset) => TEXT + BigInt(offset));
  /** Hooks that the kernel does not account for any more */
  const disowned = new Set<bigint>();
  const judged: bigint[] = [];
  let by = "ftrace hook tracer";
  const region = trustRegion(guest, {
    name: "kernel text",
    kind: "code",
    start: TEXT,
    size: PAGES * 4096,
    living: {
      judge(address, read) {
        judged.push(address);
        const start = places.find((place) =>
          address >= place && address < place + BigInt(PLACE)
        );
        const state = (kind: number): CodeState => {
          switch (kind) {
            case 1:
              return { kind: "own" };
            case 2:
              return { kind: "changing" };
            case 3:
              if (!disowned.has(start!)) return { kind: "instrumented", by };
          }
          return { kind: "foreign", summary: "kernel code was changed" };
        };
        return start === undefined
          ? { start: address, size: 1, state: state(0), isElsewhere: true }
          : { start, size: PLACE, state: state(read(start, PLACE)[0]!) };
      },
    },
  });
  const symbols = new SymbolTable([{
    name: "_text",
    address: TEXT,
    size: PAGES * 4096,
  }]);
  const living = new LivingText(guest, symbols, region);
  /** Writes what may cross pages. */
  const write = (offset: number, bytes: readonly number[]) => {
    for (const [index, byte] of bytes.entries()) {
      guest.write(TEXT + BigInt(offset + index), [byte]);
    }
  };
  /** Offsets of the findings of a look, or reasons why it could not tell. */
  const look = () =>
    [...compareRegion(
      guest,
      symbols,
      region,
      rules.kernelText,
      "kernel code was changed",
      living,
    )].map((told) =>
      "reason" in told ? told.reason : Number(told.address - TEXT)
    );
  return {
    guest,
    region,
    living,
    look,
    write,
    disowned,
    judged,
    nameHooks: (name: string) => by = name,
  };
}

function trusted(
  { region }: ReturnType<typeof setUp>,
  offset: number,
): number[] {
  return [...region.trusted.subarray(offset, offset + PLACE)];
}

Deno.test("what the kernel did itself is no finding and becomes trusted", () => {
  const all = setUp();
  all.write(0x100, OWN);
  assertEquals(all.look(), []);
  assertEquals(trusted(all, 0x100), OWN);
  // It is not judged again, until it changes
  all.judged.length = 0;
  assertEquals(all.look(), []);
  assertEquals(all.judged, []);
  all.write(0x100, ORIGINAL);
  assertEquals(all.look(), [0x100]);
});

Deno.test("a foreign change is a finding at once, one for each place", () => {
  const all = setUp();
  all.write(0x100, [9, 9, 9, 9, 9]);
  all.write(0x300, [9]);
  assertEquals(all.look(), [0x100, 0x300]);
  assertEquals(trusted(all, 0x100), ORIGINAL);
  // The kernel's change beside it does not hide it, nor the reverse
  all.write(0x200, OWN);
  assertEquals(all.look(), [0x100, 0x300]);
});

Deno.test("a foreign change that is only part of a place hides nothing behind it", () => {
  const all = setUp();
  all.write(0x102, [9]);
  all.write(0x110, [9]);
  all.write(0x180, [9]);
  assertEquals(all.look(), [0x102, 0x180]);
});

Deno.test("a change lasts when three looks and more than two seconds saw it", () => {
  using clock = new FakeClock();
  const all = setUp();
  all.write(0x100, MIDST);
  assertEquals(all.look(), []);
  assertEquals(all.living.changing, 1);
  clock.pass(1000);
  assertEquals(all.look(), []);
  clock.pass(1000);
  // Three looks, but no more than two seconds
  assertEquals(all.look(), []);
  clock.pass(1);
  assertEquals(all.look(), [0x100]);
  assertEquals(trusted(all, 0x100), ORIGINAL);
});

Deno.test("a change that is seen twice does not last, however long it is there", () => {
  using clock = new FakeClock();
  const all = setUp();
  all.write(0x100, MIDST);
  assertEquals(all.look(), []);
  clock.pass(60_000);
  assertEquals(all.look(), []);
  assertEquals(all.look(), [0x100]);
});

Deno.test("a change that goes on or is over is counted anew", () => {
  using clock = new FakeClock();
  const all = setUp();
  all.write(0x100, MIDST);
  for (let step = 0; step < 9; step++) {
    all.write(0x101, [step]);
    assertEquals(all.look(), []);
    clock.pass(5000);
  }
  all.write(0x100, OWN);
  assertEquals(all.look(), []);
  assertEquals(all.living.changing, 0);
  all.write(0x100, MIDST);
  assertEquals(all.look(), []);
  clock.pass(5000);
  assertEquals(all.look(), []);
});

Deno.test("a change that was over for one look is a new one", () => {
  using clock = new FakeClock();
  const all = setUp();
  for (const bytes of [MIDST, MIDST, ORIGINAL, MIDST, MIDST]) {
    all.write(0x100, bytes);
    assertEquals(all.look(), []);
    clock.pass(5000);
  }
  assertEquals(all.look(), [0x100]);
});

Deno.test("a change across two pages is one, and each look counts once", () => {
  using clock = new FakeClock();
  const all = setUp([0xffe]);
  all.write(0xffe, MIDST);
  assertEquals(all.look(), []);
  assertEquals(all.living.changing, 1);
  clock.pass(5000);
  assertEquals(all.look(), []);
  // A finding a page: each of them differs
  assertEquals(all.look(), [0xffe, 0x1000]);
});

Deno.test("a place across two pages is accepted and followed whole", () => {
  for (const bytes of [OWN, HOOK]) {
    const all = setUp([0xffe]);
    all.write(0xffe, bytes);
    assertEquals(all.look(), []);
    assertEquals(trusted(all, 0xffe), bytes);
    // Where only its second page differs, too
    const second = setUp([0xffe]);
    second.region.trusted.set(bytes.slice(0, 2), 0xffe);
    second.write(0xffe, bytes);
    assertEquals(second.look(), []);
    assertEquals(trusted(second, 0xffe), bytes);
  }
});

Deno.test("a foreign place across two pages is found on both", () => {
  const all = setUp([0xffe]);
  all.write(0xffe, [9, 9, 9, 9, 9]);
  assertEquals(all.look(), [0xffe, 0x1000]);
});

Deno.test("hooks are told by their owner, with their number", () => {
  const all = setUp([0x100, 0x200, 0x1300]);
  for (const offset of [0x100, 0x1300]) all.write(offset, HOOK);
  assertEquals(all.look(), []);
  all.nameHooks("kprobe lab");
  all.write(0x200, HOOK);
  assertEquals(all.look(), []);
  assertEquals(
    [...all.living.instrumentation()].map((
      { rule, by, address, symbol, places },
    ) => [rule.id, by, address, symbol, places]),
    [
      ["XK-007", "ftrace hook tracer", TEXT + 0x100n, "_text+0x100", 2],
      ["XK-007", "kprobe lab", TEXT + 0x200n, "_text+0x200", 1],
    ],
  );
});

Deno.test("a hook that the kernel does not account for any more is found, though no byte changed", () => {
  const all = setUp();
  all.write(0x100, HOOK);
  assertEquals(all.look(), []);
  assertEquals(all.look(), []);
  assertEquals([...all.living.disowned], []);
  all.disowned.add(TEXT + 0x100n);
  assertEquals(all.look(), [0x100]);
  // Who knows of no write there has to compare it
  assertEquals([...all.living.disowned], [0]);
  assertEquals([...all.living.instrumentation()], []);
  assertEquals(trusted(all, 0x100), ORIGINAL);
});

Deno.test("a hook that is taken out leaves what stood there before it", () => {
  const all = setUp();
  all.write(0x100, OWN);
  all.look();
  all.write(0x100, HOOK);
  all.look();
  // Another hook at the same place: what the file has there is kept
  all.nameHooks("kprobe lab");
  all.write(0x100, [3, 4, 4, 4, 4]);
  assertEquals(all.look(), []);
  all.write(0x100, ORIGINAL);
  assertEquals(all.look(), []);
  assertEquals(trusted(all, 0x100), ORIGINAL);
  assertEquals([...all.living.instrumentation()], []);
});

/** More hooks than are judged again at one look. */
function manyHooks(count: number) {
  const offsets = Array.from({ length: count }, (_, index) => index * 8);
  const all = setUp(offsets);
  for (const offset of offsets) all.write(offset, HOOK);
  assertEquals(all.look(), []);
  all.judged.length = 0;
  return { all, offsets };
}

Deno.test("at most 256 hooks are judged again at a look", () => {
  const { all } = manyHooks(300);
  for (let look = 0; look < 3; look++) {
    assertEquals(all.look(), []);
    assertEquals(all.judged.length <= 256, true);
    all.judged.length = 0;
  }
});

Deno.test("every hook is judged again within as few looks as there can be", () => {
  for (const count of [257, 300, 600]) {
    const { all, offsets } = manyHooks(count);
    const looks = Math.ceil(count / 256);
    for (let round = 0; round < 3; round++) {
      for (let look = 0; look < looks; look++) assertEquals(all.look(), []);
      assertEquals(
        new Set(all.judged).size,
        offsets.length,
        `${count} hooks, round ${round}`,
      );
      all.judged.length = 0;
    }
  }
});

Deno.test("a hook that is taken out before it is judged again is no finding", () => {
  const { all, offsets } = manyHooks(600);
  // What stood there is nothing that the kernel would write itself
  const last = offsets.at(-1)!;
  all.write(last, ORIGINAL);
  assertEquals(all.look(), []);
  assertEquals(trusted(all, last), ORIGINAL);
  assertEquals([...all.living.instrumentation()][0]?.places, 599);
});

Deno.test("a hook on a page that cannot be read hides no finding elsewhere", () => {
  const all = setUp([0x1100]);
  all.write(0x1100, HOOK);
  all.write(0x2100, [9]);
  assertEquals(all.look(), [0x2100]);
  all.guest.unmap(TEXT + 0x1000n);
  assertEquals(all.look(), [0x2100, "not-present"]);
});

Deno.test("a page that its kernel's data cannot be read for is not taken for clean", () => {
  const all = setUp([0x100]);
  all.write(0x100, OWN);
  all.write(0x1100, [9]);
  const { living } = all.region;
  let failing = true;
  const judge = living!.judge;
  living!.judge = (address, read) => {
    if (failing && address < TEXT + 0x1000n) {
      throw new UnreadableMemoryError(1n, "no-frame");
    }
    return judge.call(living, address, read);
  };
  assertEquals(all.look(), [0x1100, "no-frame"]);
  failing = false;
  assertEquals(all.look(), [0x1100]);
});

Deno.test("while the kernel says that it is at work a change may last, but not for ever", () => {
  using clock = new FakeClock();
  const all = setUp();
  let isBusy = true;
  all.region.living!.isBusy = () => isBusy;
  all.write(0x100, [2, 2, 2, 2, 2]);
  for (let second = 0; second < 290; second += 10) {
    assertEquals(all.look(), []);
    clock.pass(10_000);
  }
  clock.pass(20_000);
  // From here on it must be over as soon as that of a kernel that is idle
  for (let look = 0; look < 3; look++) {
    all.look();
    clock.pass(1500);
  }
  assertEquals(all.look(), [0x100]);

  const other = setUp();
  other.region.living!.isBusy = () => isBusy;
  other.write(0x100, [2, 2, 2, 2, 2]);
  other.look();
  clock.pass(10_000);
  assertEquals(other.look(), []);
  isBusy = false;
  for (let look = 0; look < 2; look++) {
    assertEquals(other.look(), []);
    clock.pass(1500);
  }
  assertEquals(other.look(), [0x100]);
});

Deno.test("a write may be the kernel's work where it rewrites its code, or is accounted for", () => {
  const { guest, living, write, disowned } = setUp();
  const may = (at: number, ...bytes: number[]) =>
    living.mayPatch(TEXT + BigInt(at), Uint8Array.from(bytes));
  assertEquals(may(0x300, 9), false);
  assertEquals(may(0x300, 0x90, 0x90), true);
  // One byte after the other
  assertEquals(may(0x100, 2), true);
  write(0x100, MIDST);
  assertEquals(may(0x101, 1, 1, 1, 1), true);
  assertEquals(may(0x100, 1), true);
  // Its lists may know it only when it is written
  disowned.add(TEXT + 0x200n);
  assertEquals(may(0x200, ...HOOK), true);
  // What is beside a place is not part of it
  assertEquals(may(0x203, 3, 3, 9), false);
  assertEquals(may(0xfe, 9, 0x90, ...OWN), false);
  // Nothing has landed
  assertEquals([...guest.read(TEXT + 0x200n, PLACE)], ORIGINAL);
});

Deno.test("what was there before a hook may be written back", () => {
  const { living, look, write } = setUp();
  write(0x100, HOOK);
  look();
  assertEquals(living.mayPatch(TEXT + 0x100n, Uint8Array.from(ORIGINAL)), true);
});
