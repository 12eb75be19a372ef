import { assertEquals, assertThrows } from "@std/assert";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import { CoreGuest } from "./core_guest.ts";
import { PAGE_SIZE } from "./layouts.ts";
import { entryBits } from "./page_walk.ts";
import { qemuCore, xenCore } from "./testing/core_image.ts";
import { Machine } from "./testing/machine.ts";

const { present, writable, large, noExecute } = entryBits;
const LA57 = 1n << 12n;

const START = 0xffff_ffff_8000_0000n;
const SECOND = START + BigInt(PAGE_SIZE);
/** Pages that lead to a frame, and through a table, that no core has */
const NO_FRAME = START + 2n * BigInt(PAGE_SIZE);
const NO_TABLE = START + 0x20_0000n;
const OUTSIDE = 0x7000n;
const READ_ONLY = 0xffff_8880_0123_4000n;
const END = 1n << 64n;

const folder = await Deno.makeTempDir();
const path = `${folder}/web.core`;
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));

const KINDS = ["PV", "PVH or HVM", "QEMU", "QEMU, 5 levels"] as const;

/**
 * Opens a core with two pages at `START`, filled with ones and twos, and one at
 * `READ_ONLY`, filled with threes.
 */
function open(kind: typeof KINDS[number]) {
  using machine = new Machine();
  const root = machine.allocate();
  const frames = [START, SECOND].map((address, page) => {
    const frame = machine.map(root, address);
    machine.bytes(frame).fill(page + 1);
    return frame;
  });
  const flags = present | noExecute;
  machine.bytes(machine.map(root, READ_ONLY, { flags })).fill(3);
  machine.map(root, NO_FRAME, { frame: OUTSIDE });
  const third = machine.entry(root, 511) >> 12n;
  const second = machine.entry(third, 510) >> 12n;
  machine.setEntry(second, 1, OUTSIDE << 12n | present);
  // Another address space, which has the second page where the first one was
  const otherRoot = machine.allocate();
  machine.map(otherRoot, START, { frame: frames[1]! });

  const fifth = machine.allocate();
  for (const [slot, table] of [[511, root], [510, otherRoot]] as const) {
    machine.setEntry(fifth, slot, table << 12n | present | writable);
  }
  const isFive = kind === "QEMU, 5 levels";
  const cpus = [{ root: isFive ? fifth : root, cr4: isFive ? LA57 : 0n }];
  const pages = Array.from({ length: Number(fifth) + 1 }, (_, frame) => ({
    frame: BigInt(frame),
    // Not to be taken for it
    pfn: fifth - BigInt(frame),
    bytes: machine.bytes(BigInt(frame)).slice(),
  }));
  const { bytes } = kind === "PV" || kind === "PVH or HVM"
    ? xenCore({ type: kind, cpus, pages: pages.toReversed() })
    : qemuCore({
      cpus,
      memory: pages.map(({ frame, bytes }) => ({
        address: frame << 12n,
        bytes,
      })),
    });
  Deno.writeFileSync(path, bytes);
  return { guest: new CoreGuest(path), frames, otherRoot };
}

/** What is told of an address that cannot be read. */
function unreadable(read: () => unknown) {
  const { address, reason } = assertThrows(read, UnreadableMemoryError);
  return [address, reason];
}

for (const kind of KINDS) {
  Deno.test(`memory of a core is read through its page tables (${kind})`, () => {
    const { guest: opened } = open(kind);
    using guest = opened;
    assertEquals(guest.read(SECOND - 2n, 4), Uint8Array.of(1, 1, 2, 2));
    assertEquals(guest.read(READ_ONLY + 4095n, 1), Uint8Array.of(3));
    assertEquals(guest.read(START, 0), new Uint8Array());
    assertThrows(() => guest.read(START, (16 << 20) + 1), RangeError);
  });

  Deno.test(`many pages of a core are read at once (${kind})`, () => {
    const { guest: opened } = open(kind);
    using guest = opened;
    const bytes = new Uint8Array(2 * PAGE_SIZE);
    guest.readInto(START, bytes);
    assertEquals([0, 4095, 4096, 8191].map((at) => bytes[at]), [1, 1, 2, 2]);
    assertEquals(
      unreadable(() => guest.readInto(START + 5n, new Uint8Array(9000))),
      [NO_FRAME, "no-frame"],
    );
    const end = NO_FRAME + BigInt(PAGE_SIZE);
    assertEquals(
      unreadable(() => guest.readInto(START, new Uint8Array(20_000))),
      [
        end,
        "not-present",
      ],
    );
  });

  Deno.test(`an address of a core is walked to its frame (${kind})`, () => {
    const { guest: opened, frames } = open(kind);
    using guest = opened;
    assertEquals([START, SECOND + 5n].map((at) => guest.frame(at)), frames);
    const walks = guest.walks(START, 2 * PAGE_SIZE);
    assertEquals(
      walks.map((walk) => walk.kind === "mapped" && walk.frame),
      frames,
    );
    assertEquals(guest.walks(START, 2 * PAGE_SIZE) === walks, true);
    const walk = guest.walk(READ_ONLY);
    assertEquals(
      walk.kind === "mapped" && [walk.writable, walk.executable],
      [false, false],
    );
  });

  Deno.test(`pages of a core that differ are told (${kind})`, () => {
    const { guest: opened } = open(kind);
    using guest = opened;
    const trusted = guest.trustedCopy(
      new Uint8Array(2 * PAGE_SIZE).fill(1).fill(2, PAGE_SIZE),
    );
    assertEquals(guest.compare(START, trusted), []);
    trusted[2 * PAGE_SIZE - 1] = 9;
    assertEquals(guest.compare(START, trusted), [1]);
    trusted[0] = 9;
    assertEquals(guest.compare(START, trusted), [0, 1]);
  });

  Deno.test(`what a core maps is told with its permissions (${kind})`, () => {
    const { guest: opened } = open(kind);
    using guest = opened;
    const pages = { writable: true, executable: true };
    assertEquals(guest.mapped(START, NO_TABLE), {
      ranges: [{ start: START, size: 3n * BigInt(PAGE_SIZE), ...pages }],
      complete: true,
    });
    const all = guest.mapped(0xffff_8000_0000_0000n, END);
    assertEquals(
      all.ranges.map(({ start, writable }) => [start, writable]),
      [[READ_ONLY, false], [START, true]],
    );
    // The table that the core lacks
    assertEquals(all.complete, false);
    assertEquals(guest.mapped(READ_ONLY, START, true).ranges, []);
  });

  Deno.test(`what a core does not hold is unreadable, and told why (${kind})`, () => {
    const { guest: opened } = open(kind);
    using guest = opened;
    const trusted = new Uint8Array(3 * PAGE_SIZE);
    assertEquals(unreadable(() => guest.read(READ_ONLY + 5n, PAGE_SIZE)), [
      READ_ONLY + BigInt(PAGE_SIZE),
      "not-present",
    ]);
    const unmapped = READ_ONLY + BigInt(PAGE_SIZE) + 5n;
    assertEquals(unreadable(() => guest.read(unmapped, 1)), [
      unmapped,
      "not-present",
    ]);
    assertEquals(unreadable(() => guest.read(1n << 60n, 1)), [
      1n << 60n,
      "non-canonical",
    ]);
    for (
      const read of [
        () => guest.read(START, 3 * PAGE_SIZE),
        () => guest.compare(START, trusted),
      ]
    ) {
      assertEquals(unreadable(read), [NO_FRAME, "no-frame"]);
    }
    assertEquals(unreadable(() => guest.frame(NO_TABLE)), [
      NO_TABLE,
      "no-frame",
    ]);
    // Where it leads is known all the same
    assertEquals(guest.frame(NO_FRAME), OUTSIDE);
  });
}

Deno.test("pages of 4 KiB and of 2 MiB are read at once", () => {
  using machine = new Machine();
  const root = machine.allocate();
  const small = START + 0x20_0000n - BigInt(PAGE_SIZE);
  const frame = machine.map(root, small);
  machine.bytes(frame).fill(1);
  const { table } = machine.leaf(root, START + 0x20_0000n);
  machine.bytes(table).fill(2);
  const third = machine.entry(root, 511) >> 12n;
  const second = machine.entry(third, 510) >> 12n;
  // All of the machine, from frame 0 on
  machine.setEntry(second, 1, present | large);
  const pages = Array.from({ length: Number(table) + 1 }, (_, frame) => ({
    frame: BigInt(frame),
    pfn: BigInt(frame),
    bytes: machine.bytes(BigInt(frame)).slice(),
  }));
  const { bytes } = xenCore({ type: "PV", cpus: [{ root }], pages });
  Deno.writeFileSync(path, bytes);
  using guest = new CoreGuest(path);
  const size = PAGE_SIZE * (1 + pages.length) - 5;
  const all = guest.read(small + 5n, size);
  assertEquals(
    all.subarray(0, PAGE_SIZE - 5),
    new Uint8Array(PAGE_SIZE - 5).fill(1),
  );
  for (const { frame, bytes } of pages) {
    const at = PAGE_SIZE * (1 + Number(frame)) - 5;
    assertEquals(all.subarray(at, at + PAGE_SIZE), bytes);
  }
  assertEquals(unreadable(() => guest.read(small, size + 6)), [
    START + 0x20_0000n + BigInt(pages.length * PAGE_SIZE),
    "no-frame",
  ]);
});

Deno.test("page tables that are given are taken instead of those of the CPU", () => {
  const { guest: opened, frames, otherRoot } = open("PV");
  using guest = opened;
  guest.compare(START, new Uint8Array(PAGE_SIZE));
  guest.useRoot(otherRoot);
  assertEquals(guest.root, otherRoot);
  assertEquals(guest.frame(START), frames[1]);
  assertEquals(guest.read(START, 1), Uint8Array.of(2));
  const trusted = new Uint8Array(PAGE_SIZE).fill(2);
  assertEquals(guest.compare(START, trusted), []);
  assertEquals(guest.mapped(START, END).ranges.map(({ size }) => size), [
    BigInt(PAGE_SIZE),
  ]);
});

Deno.test("a guest in a core has the file's name, and lives as it is", () => {
  const { guest: opened, frames } = open("PVH or HVM");
  using guest = opened;
  assertEquals(guest.domain.name, "web.core");
  assertEquals(guest.core.writer, "xl dump-core");
  const { cpus } = guest;
  guest.refresh();
  guest.assertAlive();
  assertEquals([guest.cpus === cpus, cpus[0]!.root, guest.frame(START)], [
    true,
    guest.root,
    frames[0],
  ]);
});

Deno.test("the file of a core is closed with its guest", () => {
  const { guest } = open("QEMU");
  guest.read(START, 1);
  const trusted = new Uint8Array(PAGE_SIZE);
  guest.compare(START, trusted);
  guest[Symbol.dispose]();
  assertThrows(() => guest.read(START, 1), Deno.errors.BadResource);
  assertThrows(() => guest.compare(START, trusted), Deno.errors.BadResource);
});

Deno.test("what is no core is no guest", () => {
  assertThrows(
    () => new CoreGuest(`${folder}/none.core`),
    Deno.errors.NotFound,
  );
  Deno.writeTextFileSync(path, "no core");
  assertThrows(() => new CoreGuest(path), SyntaxError, "it is too short");
});

Deno.test("a core that is cut off lacks its last pages only", () => {
  open("QEMU").guest[Symbol.dispose]();
  const core = Deno.readFileSync(path);
  // The last page is a root table that nobody uses
  Deno.truncateSync(path, core.length - 1);
  {
    using guest = new CoreGuest(path);
    assertEquals(guest.read(START, 1), Uint8Array.of(1));
  }
  // Offset of the first segment of memory, behind that of the notes
  const memoryAt = new DataView(core.buffer).getUint32(64 + 56 + 8, true);
  Deno.truncateSync(path, memoryAt);
  using guest = new CoreGuest(path);
  assertEquals(unreadable(() => guest.read(START, 1)), [START, "no-frame"]);
  assertEquals(guest.mapped(START, END), { ranges: [], complete: false });
});
