import {
  assert,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import type { Domain } from "./domains.ts";
import { NoSuchDomainError, XenError } from "./errors.ts";
import { Journal, lockedFrames } from "./journal.ts";
import { trapInfo, vcpuContext } from "./layouts.ts";
import { entryBits } from "./page_walk.ts";
import { PvGuest } from "./pv_guest.ts";
import { Machine } from "./testing/machine.ts";
import { SyntheticHost } from "./testing/synthetic_host.ts";

const ESRCH = 3;
const PAGE_SIZE = 4096;
const START = 0xffff_ffff_8000_0000n;
const DIRECT_MAP = 0xffff_8880_0123_4000n;
const REGION = {
  start: START,
  size: 2 * PAGE_SIZE,
  kind: "code",
  rungs: ["protect", "poll"],
} as const;

const domain: Domain = {
  id: 7,
  name: "web",
  uuid: "00112233-4455-6677-8899-aabbccddeeff",
  type: "PV",
  paused: false,
  dying: false,
  state: "running",
  pages: 16,
  maxPages: 16,
  cpuTime: 0n,
  onlineVcpus: 1,
  maxVcpus: 1,
};

/** What the journal's file holds. */
interface KeptState {
  readonly entries: unknown[];
  readonly pause?: string;
  readonly attack?: boolean;
}

/** A guest of two pages, filled with ones and twos; all is given back. */
class Setting implements Disposable {
  readonly machine = new Machine();
  readonly xen = new SyntheticHost(this.machine, domain.id);
  readonly folder = Deno.makeTempDirSync();
  readonly frames = [0n, 1n].map((page) =>
    this.machine.map(this.xen.root, START + page * BigInt(PAGE_SIZE))
  );
  #stack = new DisposableStack();

  constructor() {
    this.frames.forEach((frame, page) =>
      this.machine.bytes(frame).fill(page + 1)
    );
  }

  /** The guest as one monitor has it; the one before must be gone. */
  guest(): PvGuest {
    this.end();
    const journal = this.#stack.use(new Journal(domain.id, this.folder));
    return this.#stack.use(new PvGuest(this.xen.host, domain, journal));
  }

  /** The monitor dies without undoing anything. */
  end(): void {
    this.#stack.dispose();
    this.#stack = new DisposableStack();
  }

  /** What the journal of the guest holds, if there is one. */
  get journal(): KeptState | undefined {
    try {
      return JSON.parse(
        Deno.readTextFileSync(`${this.folder}/${domain.id}.json`),
      );
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return undefined;
      throw error;
    }
  }

  entry(address: bigint): bigint {
    const { table, index } = this.machine.leaf(this.xen.root, address);
    return this.machine.entry(table, index);
  }

  setEntry(address: bigint, entry: bigint): void {
    const { table, index } = this.machine.leaf(this.xen.root, address);
    this.machine.setEntry(table, index, entry);
  }

  /** Whether the guest may write at some addresses. */
  writable(...addresses: bigint[]): boolean[] {
    return addresses.map((address) =>
      (this.entry(address) & entryBits.writable) !== 0n
    );
  }

  [Symbol.dispose](): void {
    this.end();
    this.machine[Symbol.dispose]();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

const SECOND = START + BigInt(PAGE_SIZE);

Deno.test("what is no PV guest is refused", () => {
  using setting = new Setting();
  assertThrows(
    () => new PvGuest(setting.xen.host, { ...domain, type: "PVH or HVM" }),
    RangeError,
    "web is a PVH or HVM guest",
  );
});

Deno.test("memory is read over the border of pages", () => {
  using setting = new Setting();
  const guest = setting.guest();
  assertEquals(guest.read(SECOND - 2n, 4), Uint8Array.of(1, 1, 2, 2));
  assertEquals(guest.read(START, 0), new Uint8Array());
  assertThrows(() => guest.read(START, (16 << 20) + 1), RangeError);
  assertThrows(() => guest.read(START, -1), RangeError);
});

Deno.test("what cannot be read is told with address and reason", () => {
  using setting = new Setting();
  const guest = setting.guest();
  const told = (address: bigint) => {
    const { address: at, reason } = assertThrows(
      () => guest.read(address, 2 * PAGE_SIZE),
      UnreadableMemoryError,
    );
    return [at, reason];
  };
  assertEquals(told(SECOND), [SECOND + 0x1000n, "not-present"]);
  assertEquals(told(0x8000_0000_0000n), [0x8000_0000_0000n, "non-canonical"]);
  setting.machine.refused.add(setting.frames[1]!);
  assertEquals(told(START), [SECOND, "no-frame"]);
});

Deno.test("a comparison tells the pages that differ, through the tables of now", () => {
  using setting = new Setting();
  const { machine, frames } = setting;
  const guest = setting.guest();
  const trusted = new Uint8Array(2 * PAGE_SIZE).fill(1).fill(2, PAGE_SIZE);
  assertEquals(guest.compare(START, trusted), []);
  machine.bytes(frames[1]!)[4095] = 9;
  assertEquals(guest.compare(START, trusted), [1]);
  // A clean copy at the same address is what the guest sees
  const copy = machine.map(setting.xen.root, SECOND);
  machine.bytes(copy).fill(2);
  assertEquals(guest.compare(START, trusted), []);
  setting.setEntry(START, 0n);
  assertThrows(() => guest.compare(START, trusted), UnreadableMemoryError);
});

Deno.test("protecting makes every mapping read-only while the guest stands still", () => {
  using setting = new Setting();
  const { machine, xen, frames } = setting;
  machine.map(xen.root, DIRECT_MAP, { frame: frames[1]! });
  machine.map(xen.root, DIRECT_MAP + 0x1000n);
  setting.setEntry(START, setting.entry(START) | entryBits.dirty);
  const before = setting.entry(START);
  const guest = setting.guest();
  assertEquals(guest.protect([REGION]).entries, 3);
  assertEquals(
    setting.writable(START, SECOND, DIRECT_MAP, DIRECT_MAP + 0x1000n),
    [false, false, false, true],
  );
  assertEquals(setting.entry(START), before & ~entryBits.writable);
  assertEquals(xen.calls, ["pause", "update 3", "unpause"]);
  assertEquals(xen.pauses, 0);
  assertEquals(guest.protect([REGION]).entries, 0);
});

Deno.test("what is changed is found after the guest has stopped", () => {
  using setting = new Setting();
  const { machine, xen, frames } = setting;
  const guest = setting.guest();
  xen.onPause = () =>
    void machine.map(xen.root, DIRECT_MAP, { frame: frames[0]! });
  assertEquals(guest.protect([REGION]).entries, 3);
});

Deno.test("the journal is written before the first entry is changed", () => {
  using setting = new Setting();
  const { xen } = setting;
  const guest = setting.guest();
  xen.onPause = () => assertEquals(setting.journal?.pause, "working");
  xen.refuses = () => true;
  assertThrows(() => guest.protect([REGION]), XenError, "mmu_update");
  assertEquals(xen.pauses, 0);
  assertEquals(setting.journal?.entries.length, 2);
  assertEquals(setting.journal?.pause, undefined);
});

Deno.test("unprotecting gives back what was taken, and leaves no journal", () => {
  using setting = new Setting();
  const guest = setting.guest();
  const before = [setting.entry(START), setting.entry(SECOND)];
  guest.protect([REGION]);
  assertEquals(guest.unprotect(), "2 page-table entries are writable again");
  assertEquals([setting.entry(START), setting.entry(SECOND)], before);
  assertEquals(setting.journal, undefined);
  assertEquals(setting.xen.pauses, 0);
});

Deno.test("what Xen refuses to make writable hides no other, and stays noted", () => {
  using setting = new Setting();
  const { xen } = setting;
  const guest = setting.guest();
  guest.protect([REGION]);
  const { index } = setting.machine.leaf(xen.root, START);
  xen.refuses = (update) => update.index === index;
  assertEquals(guest.unprotect(), "1 page-table entries are writable again");
  assertEquals(setting.writable(START, SECOND), [false, true]);
  assertEquals([guest.stuck, xen.pauses], [1, 0]);
  assertEquals(setting.journal?.entries.length, 1);

  assertEquals(
    setting.guest().recover(false),
    "1 page-table entries stay read-only, since Xen refuses to change them",
  );
  xen.refuses = () => false;
  const next = setting.guest();
  assertEquals(next.recover(false), "1 page-table entries are writable again");
  assertEquals(next.stuck, 0);
  assertEquals(setting.journal, undefined);
});

Deno.test("a guest of which nothing was protected is not even paused", () => {
  using setting = new Setting();
  assertEquals(setting.guest().unprotect(), undefined);
  assertEquals(setting.xen.calls, []);
});

Deno.test("a guest that an operator let run after an attack leaves no note of it", () => {
  using setting = new Setting();
  const guest = setting.guest();
  guest.protect([REGION]);
  guest.pauseForAttack();
  setting.xen.pauses = 0;
  guest.unprotect();
  assertEquals(setting.journal, undefined);
});

Deno.test("a full disk under the journal does not keep a guest from being held", () => {
  using setting = new Setting();
  class FullJournal extends Journal {
    override hold(): void {
      throw new Error("No space left on device (os error 28)");
    }
  }
  using journal = new FullJournal(domain.id, setting.folder);
  using guest = new PvGuest(setting.xen.host, domain, journal);
  guest.hold();
  assertEquals([setting.xen.pauses, guest.held], [1, true]);
  guest.endHold();
  assertEquals(setting.xen.pauses, 0);
});

Deno.test("a page that was read-only before stays so", () => {
  using setting = new Setting();
  setting.setEntry(START, setting.entry(START) & ~entryBits.writable);
  const guest = setting.guest();
  assertEquals(guest.protect([REGION]).entries, 1);
  assertEquals(guest.unprotect(), "1 page-table entries are writable again");
  assertEquals(setting.writable(START, SECOND), [false, true]);
});

Deno.test("an entry that leads elsewhere by now is left alone", () => {
  using setting = new Setting();
  const { machine, xen } = setting;
  const guest = setting.guest();
  guest.protect([REGION]);
  machine.map(xen.root, START, { flags: entryBits.present });
  assertEquals(guest.unprotect(), "1 page-table entries are writable again");
  assertEquals(setting.writable(START, SECOND), [false, true]);
});

Deno.test("a region that is not mapped is not half protected", () => {
  using setting = new Setting();
  const guest = setting.guest();
  setting.setEntry(SECOND, 0n);
  assertThrows(() => guest.protect([REGION]), UnreadableMemoryError);
  assertEquals(setting.writable(START), [true]);
  assertEquals(setting.xen.pauses, 0);
  assertEquals(setting.journal, undefined);
});

Deno.test("a guest without a journal is only looked at", () => {
  using setting = new Setting();
  using guest = new PvGuest(setting.xen.host, domain);
  assertThrows(() => guest.protect([REGION]), TypeError);
  assertEquals(setting.xen.calls, []);
});

Deno.test("a hold is made once and undone once", () => {
  using setting = new Setting();
  const guest = setting.guest();
  guest.hold();
  guest.hold();
  assertEquals([setting.xen.pauses, guest.held], [1, true]);
  assertEquals(guest.pausedForAttack, false);
  guest.endHold();
  guest.endHold();
  assertEquals([setting.xen.pauses, guest.held], [0, false]);
  setting.end();
  assertEquals([...Deno.readDirSync(setting.folder)], []);
});

Deno.test("a pause because of an attack is made once, and a hold becomes one", () => {
  for (const heldBefore of [false, true]) {
    using setting = new Setting();
    const guest = setting.guest();
    if (heldBefore) guest.hold();
    guest.pauseForAttack();
    guest.pauseForAttack();
    guest.hold();
    guest.endHold();
    assertEquals([setting.xen.pauses, guest.pausedForAttack], [1, true]);
    assertEquals(setting.journal?.attack, true);
  }
});

Deno.test("an operator's pause is not undone", () => {
  using setting = new Setting();
  setting.xen.pauses = 1;
  const guest = setting.guest();
  guest.protect([REGION]);
  guest.hold();
  guest.endHold();
  guest.unprotect();
  assertEquals(setting.xen.pauses, 1);
});

Deno.test("a guest that an operator let run is not let run twice", () => {
  using setting = new Setting();
  const guest = setting.guest();
  guest.hold();
  setting.xen.pauses = 0;
  guest.endHold();
  assertEquals(setting.xen.calls, ["pause"]);
  assertEquals(guest.held, false);
});

Deno.test("a hold that an operator ended leaves no note", () => {
  for (const notice of ["held", "protect"] as const) {
    using setting = new Setting();
    const guest = setting.guest();
    guest.hold();
    setting.xen.pauses = 0;
    if (notice === "held") assertEquals(guest.held, false);
    else {
      guest.protect([REGION]);
      guest.unprotect();
    }
    guest.endHold();
    setting.end();
    assertEquals([...Deno.readDirSync(setting.folder)], []);
  }
});

Deno.test("a guest that was let run after an attack can be held again", () => {
  using setting = new Setting();
  const guest = setting.guest();
  guest.pauseForAttack();
  setting.xen.pauses = 0;
  guest.hold();
  assertEquals([setting.xen.pauses, guest.pausedForAttack], [1, false]);
  assertEquals(setting.guest().recover(false), "ended its pause");
  assertEquals(setting.xen.pauses, 0);
});

Deno.test("a guest runs on when a monitor is killed that held it", () => {
  const writable = "2 page-table entries are writable again";
  for (const pausedBefore of [0, 1]) {
    using setting = new Setting();
    setting.xen.pauses = pausedBefore;
    const guest = setting.guest();
    guest.protect([REGION]);
    guest.hold();
    assertEquals(
      setting.guest().recover(false)?.startsWith(
        `ended its pause, ${writable}`,
      ),
      true,
    );
    assertEquals(setting.xen.pauses, pausedBefore);
    setting.end();
    assertEquals([...Deno.readDirSync(setting.folder)], []);
  }
});

Deno.test("a hold is noted before it is made", () => {
  using setting = new Setting();
  const { xen } = setting;
  const guest = setting.guest();
  let note = "";
  xen.onPause = () => {
    note = Deno.readTextFileSync(`${setting.folder}/${domain.id}.hold`);
  };
  guest.hold();
  assertEquals(note, `${domain.uuid} 1\n`);
  // Killed right before the pause
  xen.pauses = 0;
  assertEquals(setting.guest().recover(false), "found nothing to undo");
  assertEquals(xen.pauses, 0);
});

Deno.test("a kill while a hold becomes the pause after an attack leaves that pause", () => {
  using setting = new Setting();
  const guest = setting.guest();
  guest.hold();
  const hold = Deno.readTextFileSync(`${setting.folder}/${domain.id}.hold`);
  guest.pauseForAttack();
  setting.end();
  Deno.writeTextFileSync(`${setting.folder}/${domain.id}.hold`, hold);
  assertEquals(
    setting.guest().recover(false),
    "left it paused after an attack",
  );
  assertEquals(setting.xen.pauses, 1);
});

Deno.test("what a killed monitor left behind is undone by the next one", () => {
  using setting = new Setting();
  setting.guest().protect([REGION]);
  assertEquals(setting.writable(START, SECOND), [false, false]);
  const next = setting.guest();
  assertEquals(next.recover(false), "2 page-table entries are writable again");
  assertEquals(setting.writable(START, SECOND), [true, true]);
  assertEquals(setting.journal, undefined);
  assertEquals(next.recover(false), undefined);
});

/** Pauses after a monitor died when it had just stopped the guest. */
function pausesAfterKill(before: number, own = 1): number {
  using setting = new Setting();
  const path = `${setting.folder}/${domain.id}.json`;
  setting.xen.pauses = before;
  let then = "";
  setting.xen.onPause = () => {
    then = Deno.readTextFileSync(path);
  };
  setting.guest().protect([REGION]);
  setting.end();
  setting.xen.onPause = () => {};
  setting.xen.pauses += own;
  Deno.writeTextFileSync(path, then);
  setting.guest().recover(false);
  return setting.xen.pauses;
}

Deno.test("the pause of a monitor that was killed at work is undone", () => {
  assertEquals(pausesAfterKill(0), 0);
});

Deno.test("a guest that somebody else had paused does not run because a monitor was killed", () => {
  assertEquals(pausesAfterKill(1), 1);
  // Killed after its note and before its own pause
  assertEquals(pausesAfterKill(1, 0), 1);
  // Killed while it let the guest run for a moment
  assertEquals(pausesAfterKill(1, -1), 1);
});

Deno.test("a kill at work does not lose the pause after an attack", () => {
  using setting = new Setting();
  const guest = setting.guest();
  guest.pauseForAttack();
  guest.protect([REGION]);
  assertEquals(setting.journal?.attack, true);
  let during: KeptState | undefined;
  setting.xen.onPause = () => during = setting.journal;
  guest.unprotect();
  assertEquals(during?.attack, true);
  assertEquals(during?.pause, "working, paused before");
});

Deno.test("a pause that nobody noted is told", () => {
  using setting = new Setting();
  setting.guest().protect([REGION]);
  setting.xen.pauses = 1;
  const told = setting.guest().recover(false);
  assertStringIncludes(told ?? "", `xl unpause ${domain.id}`);
  assertEquals(setting.xen.pauses, 1);
});

Deno.test("aliases that come, go and change are found though a scan is kept", () => {
  using setting = new Setting();
  const { machine, xen, frames } = setting;
  const guest = setting.guest();
  const wanted = new Set([frames[0]!]);
  const places = () =>
    guest.aliases(wanted).aliases.map(({ address, writable }) =>
      `${address.toString(16)} ${writable}`
    ).sort();
  const first = places();
  assertEquals(first.length > 0, true);
  // Until nothing new is mapped for the scan itself
  for (let time = 0; time < 3; time++) assertEquals(places(), first);
  const kept = guest.aliases(wanted);
  assertEquals(guest.aliases(wanted) === kept, true);
  const elsewhere = 0xffff_ff00_0000_3000n;
  machine.map(xen.root, elsewhere, { frame: frames[0]! });
  assertEquals(places(), [...first, `${elsewhere.toString(16)} true`].sort());
  machine.map(xen.root, elsewhere, { frame: machine.allocate() });
  assertEquals(places(), first);
});

Deno.test("a guest that is being taken apart is gone", () => {
  using setting = new Setting();
  const guest = setting.guest();
  setting.xen.dying = true;
  assertThrows(() => guest.assertAlive(), NoSuchDomainError);
  assertThrows(() => setting.guest(), NoSuchDomainError);
});

Deno.test("a pause after an attack stays until it is released", () => {
  using setting = new Setting();
  setting.guest().pauseForAttack();
  const next = setting.guest();
  assertEquals(next.recover(false), "left it paused after an attack");
  assertEquals([setting.xen.pauses, next.pausedForAttack], [1, true]);
  assertEquals(setting.journal?.attack, true);
  assertEquals(
    setting.guest().recover(true),
    "ended the pause after an attack",
  );
  assertEquals(setting.xen.pauses, 0);
  assertEquals(setting.journal, undefined);
});

Deno.test("a journal of another domain is not acted upon", () => {
  using setting = new Setting();
  setting.guest().protect([REGION]);
  setting.end();
  const calls = setting.xen.calls.length;
  using journal = new Journal(domain.id, setting.folder);
  using guest = new PvGuest(
    setting.xen.host,
    { ...domain, uuid: "ffffffff-4455-6677-8899-aabbccddeeff" },
    journal,
  );
  assertEquals(guest.recover(true), undefined);
  assertEquals(setting.xen.calls.length, calls);
});

Deno.test("a handler that changes is read anew, as are those that stay", () => {
  using setting = new Setting();
  const guest = setting.guest();
  const handlers = () => {
    guest.refresh();
    return guest.cpus[0]!.traps;
  };
  const none = handlers();
  assertEquals([none, handlers() === none], [[], true]);
  const context = new DataView(setting.xen.context.buffer);
  const at = vcpuContext.trap_ctxt + 14 * trapInfo.size + trapInfo.address;
  for (const address of [START, SECOND, SECOND, START]) {
    context.setBigUint64(at, address, true);
    assertEquals(handlers().map(({ address }) => address), [address]);
  }
  // A reading that failed is no reading
  setting.xen.contextError = 22;
  context.setBigUint64(at, SECOND, true);
  assertThrows(handlers, XenError);
  setting.xen.contextError = undefined;
  assertEquals(handlers().map(({ address }) => address), [SECOND]);
});

Deno.test("a guest that is gone is told as such", () => {
  using setting = new Setting();
  const guest = setting.guest();
  setting.xen.contextError = ESRCH;
  assertThrows(() => guest.refresh(), NoSuchDomainError, "web is gone");
  setting.xen.contextError = 22;
  assertThrows(() => guest.refresh(), XenError);
});

Deno.test("nothing stays mapped of a guest that is given back", () => {
  using setting = new Setting();
  const guest = setting.guest();
  guest.compare(START, new Uint8Array(2 * PAGE_SIZE));
  guest.read(START, 10);
  guest.protect([REGION]);
  assert(setting.machine.mappedPages > 2);
  guest[Symbol.dispose]();
  assertEquals(setting.machine.mappedPages, 0);
});

const DATA = { ...REGION, kind: "data", rungs: ["lock", "protect"] } as const;

Deno.test("data is locked in every mapping, and is as it was afterwards", () => {
  using setting = new Setting();
  const { machine, xen } = setting;
  const alias = machine.map(xen.root, DIRECT_MAP, { frame: setting.frames[0] });
  const guest = setting.guest();
  const before = [START, SECOND, DIRECT_MAP].map((at) => setting.entry(at));

  assertEquals(guest.protect([DATA]), {
    rungs: ["lock"],
    entries: 3,
    registers: false,
  });
  assertEquals(setting.writable(START, SECOND, DIRECT_MAP), [
    false,
    false,
    false,
  ]);
  const [first, , direct] = guest.walks(START, 2 * PAGE_SIZE);
  assert(first?.kind === "mapped" && machine.own.has(first.frame));
  assertEquals(direct, undefined);
  assertEquals(setting.entry(START) >> 12n, setting.entry(DIRECT_MAP) >> 12n);
  assertEquals(guest.read(SECOND - 2n, 4), Uint8Array.of(1, 1, 2, 2));
  assertEquals(xen.calls.at(-1), "give 2");
  // The guest's own frame is not what it reads any more
  machine.bytes(alias).fill(9);
  assertEquals(guest.compare(START, new Uint8Array(2 * PAGE_SIZE).fill(1)), [
    1,
  ]);

  assertEquals(guest.unprotect(), "3 page-table entries are writable again");
  assertEquals(
    [START, SECOND, DIRECT_MAP].map((at) => setting.entry(at)),
    before,
  );
  assertEquals([setting.journal, xen.pauses], [undefined, 0]);
});

Deno.test("what the kernel itself keeps read-only is so after a lock", () => {
  using setting = new Setting();
  const readOnly = setting.entry(START) & ~entryBits.writable;
  setting.setEntry(START, readOnly);
  const guest = setting.guest();
  guest.protect([DATA]);
  guest.unprotect();
  assertEquals(setting.entry(START), readOnly);
});

Deno.test("data is locked again without harm, and after it was protected", () => {
  using setting = new Setting();
  const guest = setting.guest();
  guest.protect([{ ...DATA, rungs: ["protect"] }]);
  assertEquals(guest.protect([DATA]).entries, 2);
  assertEquals(guest.protect([DATA]).entries, 0);
  guest.unprotect();
  assertEquals(setting.writable(START, SECOND), [true, true]);
});

Deno.test("where Xen has no memory data is protected, and it is said", () => {
  using setting = new Setting();
  setting.xen.hasMemory = false;
  const { rungs, entries, refused } = setting.guest().protect([DATA]);
  assertEquals([rungs, entries], [["protect"], 2]);
  assertStringIncludes(refused!, "no page can be locked: ");
  assertStringIncludes(refused!, "out of memory");
});

Deno.test("a lock that Xen refuses in part is undone, and its frames given back", () => {
  using setting = new Setting();
  const { table, index } = setting.machine.leaf(setting.xen.root, SECOND);
  setting.xen.refuses = (update) =>
    update.table === table && update.index === index &&
    setting.machine.own.has(update.entry >> 12n & 0xfffffn);
  const { rungs, refused } = setting.guest().protect([DATA]);
  assertEquals(rungs, ["protect"]);
  assertStringIncludes(refused!, "mmu_update");
  assertEquals(setting.entry(START) >> 12n, setting.frames[0]);
  assertEquals(setting.xen.calls.filter((call) => call === "give 2").length, 1);
});

Deno.test("the next monitor undoes the locks of one that was killed", () => {
  using setting = new Setting();
  const before = setting.entry(START);
  setting.guest().protect([DATA]);
  const next = setting.guest();
  assertStringIncludes(next.recover(false)!, "2 page-table entries");
  assertEquals([setting.entry(START), setting.journal], [before, undefined]);
});

Deno.test("an address that the guest led elsewhere is not led back", () => {
  using setting = new Setting();
  const guest = setting.guest();
  guest.protect([DATA]);
  const swapped = setting.machine.map(setting.xen.root, START);
  guest.unprotect();
  assertEquals(setting.entry(START) >> 12n, swapped);
});

Deno.test("what is written behind a lock is not there when it is off", () => {
  using setting = new Setting();
  const { machine, frames } = setting;
  const guest = setting.guest();
  guest.protect([DATA]);
  for (const frame of frames) machine.bytes(frame).fill(9);
  // It has made a page table of one
  machine.readOnly.add(frames[1]!);
  guest.unprotect();
  assertEquals(
    [guest.read(START, 1)[0], guest.read(SECOND, 1)[0]],
    [1, 9],
  );
  assertEquals(setting.entry(SECOND) >> 12n, frames[1]);
});

Deno.test("what is put right under a lock is right without it", () => {
  using setting = new Setting();
  const guest = setting.guest();
  guest.protect([DATA]);
  guest.writeMemory(START + 1n, Uint8Array.of(7));
  assertEquals(guest.read(START, 3), Uint8Array.of(1, 7, 1));
  guest.unprotect();
  assertEquals(guest.read(START, 3), Uint8Array.of(1, 7, 1));
});

Deno.test("the frames of locks stay Dom0's until the locks are off, and no longer", () => {
  using setting = new Setting();
  const guest = setting.guest();
  const { machine } = setting;
  guest.protect([DATA]);
  guest.unprotect();
  // All tables are mapped by now
  guest.protect([DATA]);
  const locked = machine.mappedPages;
  guest.unprotect();
  assertEquals(locked - machine.mappedPages, 2);
  guest.protect([DATA]);
  guest[Symbol.dispose]();
  assertEquals(machine.mappedPages, 0);
});

Deno.test("who only looks reads what is locked, if it knows the journal", () => {
  using setting = new Setting();
  setting.guest().protect([DATA]);
  setting.end();
  const locks = lockedFrames(domain.id, domain.uuid, setting.folder);
  assertEquals(locks.length, 2);
  using blind = new PvGuest(setting.xen.host, domain);
  assertThrows(() => blind.read(START, 1), UnreadableMemoryError);
  using looking = new PvGuest(setting.xen.host, domain, undefined, locks);
  assertEquals(looking.read(START, 1), Uint8Array.of(1));
  assertEquals(lockedFrames(domain.id, "another", setting.folder), []);
});

Deno.test("a page that the guest hides keeps data from being locked, and is told", () => {
  using setting = new Setting();
  setting.setEntry(SECOND, 0n);
  const { rungs, refused, asked } = setting.guest().protect(
    [{ ...DATA, rungs: ["lock"] }],
  );
  assertEquals([rungs, asked], [["poll"], undefined]);
  assertStringIncludes(refused!, "no page can be locked: ");
  assertEquals(setting.journal, undefined);
});

Deno.test("code is not locked", () => {
  using setting = new Setting();
  const { rungs } = setting.guest().protect(
    [{ ...REGION, rungs: ["lock", "protect"] }],
  );
  assertEquals(rungs, ["protect"]);
});

Deno.test("while data is locked the toolstack's requests are kept from the guest", () => {
  using setting = new Setting();
  const { nodes } = setting.xen;
  const path = `/local/domain/${domain.id}/control/shutdown`;
  const guest = setting.guest();
  guest.protect([DATA]);
  assertEquals(nodes.get(path), { value: "", owner: 0 });
  nodes.set(path, { value: "suspend", owner: 0 });
  guest.unprotect();
  assertEquals(nodes.get(path), { value: "suspend", owner: domain.id });
  assertEquals(setting.journal, undefined);

  const { rungs, refused, asked } = guest.protect([DATA]);
  assertEquals([rungs, asked], [["protect"], true]);
  assertStringIncludes(refused!, "while the guest is to suspend");
  assertEquals(nodes.get(path)!.owner, domain.id);
});

Deno.test("the next monitor gives the guest the toolstack's requests", () => {
  using setting = new Setting();
  const path = `/local/domain/${domain.id}/control/shutdown`;
  setting.guest().protect([DATA]);
  setting.guest().recover(false);
  assertEquals(setting.xen.nodes.get(path), { value: "", owner: domain.id });
});

Deno.test("memory is written through the tables of now, over the border of pages and what they permit", () => {
  using setting = new Setting();
  const guest = setting.guest();
  guest.protect([REGION]);
  guest.hold();
  guest.writeMemory(SECOND - 2n, Uint8Array.of(7, 8, 9));
  assertEquals(guest.read(SECOND - 3n, 5), Uint8Array.of(1, 7, 8, 9, 2));
  assertEquals(setting.writable(START, SECOND), [false, false]);
  // What an enemy has put in its place is written, not what was there
  const other = setting.machine.map(setting.xen.root, DIRECT_MAP);
  setting.setEntry(START, other << 12n | 1n);
  guest.writeMemory(START, Uint8Array.of(6));
  assertEquals(setting.machine.bytes(other)[0], 6);
  assertEquals(setting.machine.bytes(setting.frames[0]!)[0], 1);
  setting.setEntry(START, 0n);
  assertThrows(
    () => guest.writeMemory(START, Uint8Array.of(6)),
    UnreadableMemoryError,
  );
});

Deno.test("Xen is asked to write to a page table, which nobody may map to be written", () => {
  using setting = new Setting();
  const guest = setting.guest();
  setting.machine.readOnly.add(setting.frames[0]!);
  guest.writeMemory(START + 9n, Uint8Array.of(7));
  assertEquals(
    guest.read(START + 7n, 4),
    Uint8Array.of(1, 1, 7, 1),
  );
  assertEquals(setting.xen.calls, ["update 1"]);
  setting.xen.refuses = () => true;
  assertThrows(
    () => guest.writeMemory(START + 9n, Uint8Array.of(8)),
    XenError,
    "mmu_update",
  );
});

Deno.test("a guest that is put right after an attack runs on, and nothing is noted", () => {
  using setting = new Setting();
  const guest = setting.guest();
  guest.hold();
  guest.pauseForAttack();
  assertEquals(setting.journal?.attack, true);
  guest.resume();
  guest.resume();
  assertEquals(setting.xen.calls, ["pause", "unpause"]);
  assertEquals([guest.held, setting.journal], [false, undefined]);
  guest.pauseForAttack();
  // An operator lets it run
  setting.xen.pauses = 0;
  guest.resume();
  assertEquals(setting.xen.pauses, 0);
  assertEquals(setting.journal, undefined);
});
