import { assert, assertEquals, assertThrows } from "@std/assert";
import { constants } from "./constants.ts";
import { XenError } from "./errors.ts";
import { hvmCpu } from "./layouts.ts";
import { MonitorEvents } from "./monitor_events.ts";
import { openTrap } from "./open_trap.ts";
import { entryBits } from "./page_walk.ts";
import { ProtectedEntries } from "./protected_entries.ts";
import type { StoppedWrite } from "./protection.ts";
import type { ThroughTables } from "./read_store.ts";
import { FRAME, MonitorHost } from "./testing/monitor_host.ts";
import { MonitoredMachine } from "./testing/monitored_machine.ts";
import { WriteTrap } from "./write_trap.ts";

const DOMAIN = { id: 7, maxVcpus: 2 };
const ESRCH = 3;
const EINVAL = 22;
const EOPNOTSUPP = 95;
const DISCARD = constants.VM_EVENT_FLAG_EMULATE |
  constants.VM_EVENT_FLAG_EMULATE_NOWRITE;
const STEP = constants.VM_EVENT_FLAG_TOGGLE_SINGLESTEP;
const STEPPED = { reason: constants.VM_EVENT_REASON_SINGLESTEP };
const PAUSED = constants.VM_EVENT_FLAG_VCPU_PAUSED;
const EMULATE = constants.VM_EVENT_FLAG_EMULATE;
const IN_WALK = constants.MEM_ACCESS_W | constants.MEM_ACCESS_FAULT_IN_GPT;
const START = 0xffff_ffff_8000_3000n;
/** Where the guest sees the last table on the way to that */
const VIEW = 0xffff_8800_0000_0000n;
/** mov %rax,(%rdi) */
const MOV = [0x48, 0x89, 0x07];
/** rep movsq */
const REP_MOVS = [0xf3, 0x48, 0xa5];

const NO_MEMORY: ThroughTables = {
  readThrough: () => new Uint8Array(),
  walk: () => ({ kind: "not-present", steps: [] }),
};

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** @param pauses Whether the listener does, once it is told */
function setUp({ release, pauses = false, refused = [] }: {
  release?: string;
  pauses?: boolean;
  refused?: [call: string, error: number][];
} = {}) {
  const xen = new MonitorHost(release);
  for (const [call, error] of refused) xen.refused.set(call, error);
  const told: StoppedWrite[] = [];
  const events = new MonitorEvents(xen.host, xen.loop, DOMAIN);
  const trap = new WriteTrap(
    xen.host,
    DOMAIN.id,
    events,
    {
      stopped: (write) => void told.push(write),
      pauses,
      mayPatch: () => false,
      weakened: () => {},
    },
    NO_MEMORY,
  );
  trap.close([FRAME]);
  return { xen, events, trap, told };
}

for (const release of ["4.14.6", "4.17.7", "4.22.0"]) {
  Deno.test(`a write is told and discarded, on Xen ${release}`, () => {
    const { xen, events, told } = setUp({ release });
    using _events = events;
    // More than the ring has room for at once
    for (let round = 0; round < 20; round++) {
      xen.put(round % 2);
      xen.notify();
    }
    assertEquals(told.length, 20);
    assertEquals(told[1], {
      vcpu: 1,
      ip: 0xffff_ffff_8100_1234n,
      frame: FRAME,
      offset: 0x30,
    });
    assertEquals(
      xen.answers,
      Array.from({ length: 20 }, (_, round) => [round % 2, PAUSED | DISCARD]),
    );
  });
}

Deno.test("a listener that pauses is told when the instruction is finished", () => {
  const { xen, events, told } = setUp({ pauses: true });
  using _events = events;
  assertEquals(xen.calls, ["enable", "tell steps", `r-x ${FRAME}`]);
  xen.put(0);
  xen.notify();
  assertEquals(told, []);
  // The next instruction writes too
  xen.put(0);
  xen.put(1);
  xen.notify();
  assertEquals(told, []);
  xen.put(0, STEPPED);
  xen.notify();
  assertEquals(told.map(({ vcpu }) => vcpu), [0, 0]);
  xen.put(1, STEPPED);
  xen.notify();
  assertEquals(told.map(({ vcpu }) => vcpu), [0, 0, 1]);
  assertEquals(xen.answers, [
    [0, PAUSED | DISCARD | STEP],
    [0, PAUSED | DISCARD],
    [1, PAUSED | DISCARD | STEP],
    [0, PAUSED | STEP],
    [1, PAUSED | STEP],
  ]);
});

Deno.test("an instruction that is not finished is told all the same, once", async () => {
  const { xen, events, told } = setUp({ pauses: true });
  using _events = events;
  xen.put(0);
  xen.notify();
  await delay(100);
  assertEquals(told.length, 1);
  xen.put(0, STEPPED);
  xen.notify();
  assertEquals(told.length, 1);
  assertEquals(xen.answers.at(-1), [0, PAUSED | STEP]);
});

Deno.test("what one instruction writes without end is not kept without end", () => {
  const { xen, events, told } = setUp({ pauses: true });
  using _events = events;
  for (let round = 0; round < 90; round++) {
    xen.put(0);
    xen.notify();
  }
  xen.put(0, STEPPED);
  xen.notify();
  assertEquals(told.length, 64);
});

Deno.test("the end lets a virtual CPU run freely that steps, and tells what it wrote", () => {
  const { xen, events, told } = setUp({ pauses: true });
  xen.put(1);
  xen.notify();
  xen.calls.length = 0;
  events[Symbol.dispose]();
  assertEquals(told.map(({ vcpu }) => vcpu), [1]);
  assertEquals(xen.calls, ["disable", "end 1", "enable", "disable"]);
});

Deno.test("a processor that cannot step, or not trap, is told by Xen's error", () => {
  assertThrows(
    () => setUp({ pauses: true, refused: [["tell steps", EOPNOTSUPP]] }),
    XenError,
  );
  assertThrows(
    () => setUp({ refused: [[`r-x ${FRAME}`, EINVAL]] }),
    XenError,
  );
});

Deno.test("several events come with one event of the channel", () => {
  const { xen, events, told } = setUp();
  using _events = events;
  xen.put(0);
  xen.put(1);
  xen.notify();
  assertEquals([told.length, xen.answers.length], [2, 2]);
  xen.notify();
  assertEquals(told.length, 2);
});

Deno.test("what is no write, or of another page, is let go on and not told", () => {
  const { xen, events, told } = setUp();
  using _events = events;
  xen.put(0, { access: 1 });
  xen.put(0, { frame: FRAME + 1n });
  xen.put(1, { reason: 99 });
  xen.notify();
  assertEquals(told, []);
  assertEquals(xen.answers, [[0, PAUSED], [0, PAUSED], [1, PAUSED]]);
});

Deno.test("a guest that writes without end waits longer, and is answered in the end", async () => {
  const { xen, events, told } = setUp();
  {
    using _events = events;
    for (let round = 0; round < 300; round++) {
      xen.put(0);
      xen.notify();
    }
    assert(told.length < 250, `${told.length}`);
    await delay(150);
    assertEquals(told.length, 300);
    xen.put(1);
    xen.notify();
  }
  assertEquals(
    xen.answers.filter(([_, flags]) => flags === (PAUSED | DISCARD)).length,
    301,
  );
});

Deno.test("pages that came in the place of trapped ones are told, and no others", () => {
  const { xen, events, trap } = setUp();
  using _events = events;
  trap.close([5n, 6n]);
  assertEquals(trap.replaced(), []);
  xen.accesses.set(FRAME, constants.XENMEM_access_rwx);
  xen.accesses.set(6n, constants.XENMEM_access_rwx);
  // Given back, and nothing came in its place
  xen.accesses.delete(5n);
  xen.accesses.set(7n, constants.XENMEM_access_rwx);
  assertEquals(trap.replaced(), [FRAME, 6n]);
});

Deno.test("code that is open for its kernel to patch did not come in the place of any", () => {
  // An instruction that is not known of kernels
  using setting = withTables({ code: [0x0f, 0xc3, 0x07] });
  const { xen, trap, machine, root, page } = setting;
  const address = 0x5555_0000_0000n;
  machine.map(root, address, { frame: page });
  setting.patch(new Map([[page, START]]));
  assertEquals(trap.replaced(), []);
  xen.put(0, { frame: page, offset: 0n, address });
  xen.notify();
  assertEquals(xen.accesses.get(page), constants.XENMEM_access_rwx);
  assertEquals(trap.replaced(), []);
});

Deno.test("pages are opened, also those of a guest that is gone", () => {
  const xen = new MonitorHost();
  openTrap(xen.host, DOMAIN.id, [FRAME, 5n]);
  openTrap(xen.host, DOMAIN.id, []);
  assertEquals(xen.calls, [`rwx ${FRAME},5`]);
  xen.refused.set(`rwx ${FRAME}`, ESRCH);
  openTrap(xen.host, DOMAIN.id, [FRAME]);
  xen.refused.set(`rwx ${FRAME}`, 1);
  assertThrows(() => openTrap(xen.host, DOMAIN.id, [FRAME]), XenError);
});

/** A page behind its tables, the last of which the guest sees at `VIEW`. */
function withTables({ pauses = false, code = MOV } = {}) {
  const stack = new DisposableStack();
  const monitored = stack.use(new MonitoredMachine());
  const { machine, root, xen, host, set, walk, written } = monitored;
  const page = machine.map(root, START);
  const { table, index } = machine.leaf(root, START);
  machine.map(root, VIEW, { frame: table });
  const told: StoppedWrite[] = [];
  const opened: string[] = [];
  const events = stack.use(new MonitorEvents(host, xen.loop, DOMAIN));
  const trap = new WriteTrap(
    host,
    DOMAIN.id,
    events,
    {
      stopped: (write) => void told.push(write),
      pauses,
      mayPatch: () => false,
      weakened: (what) => void opened.push(what),
    },
    { readThrough: () => Uint8Array.from({ ...code, length: 15 }), walk },
  );
  /** Closes the page as one that its kernel writes to. */
  const patch = (patched: ReadonlyMap<bigint, bigint>) =>
    trap.close([page], new ProtectedEntries(), patched);
  const close = () => {
    const entries = new ProtectedEntries();
    entries.add(START, [walk(START)]);
    trap.close([page], entries);
    return entries;
  };
  const { tables } = close();
  xen.calls.length = 0;
  /** The guest writes to the last table, as its instruction says. */
  const write = (offset: number, address = VIEW + BigInt(offset)) => {
    set(hvmCpu.rdi, address);
    xen.put(0, { frame: table, offset: BigInt(offset), address });
    xen.notify();
    return xen.answers.at(-1)![1];
  };
  /** Its processor marks an entry of the last table. */
  const mark = (offset: number) => {
    xen.put(0, { frame: table, offset: BigInt(offset), access: IN_WALK });
    xen.notify();
    return xen.answers.at(-1)![1];
  };
  const all = { xen, machine, root, page, table, tables, index, set, written };
  return {
    ...all,
    trap,
    told,
    opened,
    close,
    patch,
    write,
    mark,
    [Symbol.dispose]: () => stack[Symbol.dispose](),
  };
}

Deno.test("the tables on the way to a page are closed with it, and a write to an entry on the way is told and discarded", () => {
  using setting = withTables();
  const { table, tables, page, index, told, write } = setting;
  assertEquals(tables.length, 3);
  assertEquals([tables.at(-1), tables.includes(setting.root)], [table, false]);
  setting.close();
  assertEquals(setting.xen.calls, [`r-x ${[page, ...tables]}`]);
  assertEquals(write(index * 8), PAUSED | DISCARD);
  assertEquals(told, [{
    vcpu: 0,
    ip: 0xffff_ffff_8100_1234n,
    frame: table,
    offset: index * 8,
    entry: { level: 1, address: START },
  }]);
  // Nor one that begins before it
  assertEquals(write(index * 8 - 7), PAUSED | DISCARD);
  assertEquals(told.length, 2);
});

Deno.test("a write to another entry of such a table happens at once, and is not told", () => {
  using setting = withTables({ pauses: true });
  const { index, told, write } = setting;
  assertEquals(write((index + 1) * 8), PAUSED | EMULATE);
  assertEquals(write((index - 1) * 8), PAUSED | EMULATE);
  assertEquals(told, []);
});

Deno.test("a write that pauses the guest steps on a table as well", () => {
  using setting = withTables({ pauses: true });
  const { xen, index, told, write } = setting;
  assertEquals(write(index * 8), PAUSED | DISCARD | STEP);
  assertEquals(told, []);
  xen.put(0, STEPPED);
  xen.notify();
  assertEquals(told.map(({ entry }) => entry?.level), [1]);
});

Deno.test("what writes nobody knows how much is not let happen anywhere on a table", () => {
  using setting = withTables({ code: REP_MOVS });
  for (const offset of [0, 4088]) {
    assertEquals(setting.write(offset), PAUSED | DISCARD);
  }
  assertEquals(
    setting.told.map(({ entry }) => entry?.address),
    [START, START],
  );
});

Deno.test("a write that the instruction does not make is not left to the emulator", () => {
  using setting = withTables();
  const { xen, table, machine, root, page, index, write } = setting;
  const at = (index + 1) * 8;
  // An interrupt is pushed there, and the instruction writes to the entry
  setting.set(hvmCpu.rdi, VIEW + BigInt(index * 8));
  xen.put(0, { frame: table, offset: BigInt(at), address: VIEW + BigInt(at) });
  xen.notify();
  assertEquals(xen.answers.at(-1)![1], PAUSED | DISCARD);
  // The processor does not say where
  xen.put(0, { frame: table, offset: BigInt(at) });
  xen.notify();
  assertEquals(xen.answers.at(-1)![1], PAUSED | DISCARD);
  // The processor knows the table there, and the tables say the page by now
  machine.map(root, VIEW, { frame: page });
  assertEquals(write(at), PAUSED | DISCARD);
  machine.map(root, VIEW, { frame: table });
  assertEquals(write(at), PAUSED | EMULATE);
  // It goes on on the next page
  assertEquals(write(4092), PAUSED | DISCARD);
});

Deno.test("an entry that the processor marks is marked for it, and the access is tried again", () => {
  using setting = withTables();
  const { machine, table, index, told, mark, written } = setting;
  const { present, writable, accessed, dirty, noExecute } = entryBits;
  const marked = (entry: bigint) => {
    machine.setEntry(table, index + 1, entry);
    assertEquals(mark((index + 1) * 8), PAUSED);
    return machine.entry(table, index + 1) ^ entry;
  };
  const entry = 0x77n << 12n | present | noExecute;
  assertEquals(marked(entry), accessed);
  assertEquals(marked(entry | writable), accessed | dirty);
  assertEquals(marked(entry & ~present), 0n);
  // The way itself as well
  const before = machine.entry(table, index);
  assertEquals(mark(index * 8), PAUSED);
  assertEquals(machine.entry(table, index), before | accessed | dirty);
  // A live migration has to send it again
  assertEquals(new Set(written), new Set([table]));
  assertEquals(told, []);
});

Deno.test("a table that is gone in that moment is left alone", () => {
  using setting = withTables();
  setting.machine.refused.add(setting.table);
  assertEquals(setting.mark(0), PAUSED);
});

Deno.test("tables that are in use all the time are opened, once, and the page is not", () => {
  for (const use of ["write", "mark"] as const) {
    using setting = withTables();
    const { xen, tables, page, index, told, opened } = setting;
    let uses = 0;
    // A second may end meanwhile
    while (opened.length === 0 && uses++ < 200) setting[use]((index + 1) * 8);
    assert(uses > 50 && uses < 110, `${uses}`);
    assertEquals(opened.length, 1);
    assertEquals(xen.calls, [`rwx ${tables}`]);
    assertEquals(xen.answers.at(-1), [0, PAUSED]);
    assertEquals(setting.write(index * 8), PAUSED);
    assertEquals(told, []);
    xen.put(0, { frame: page });
    xen.notify();
    assertEquals(told.map(({ frame }) => frame), [page]);
  }
});

Deno.test("tables that are no more on the way are opened", () => {
  using setting = withTables();
  const { xen, machine, tables, table, index, page, close } = setting;
  const other = machine.allocate();
  machine.setEntry(other, index, machine.entry(table, index));
  machine.setEntry(
    tables[1]!,
    Number(START >> 21n & 0x1ffn),
    other << 12n | entryBits.present,
  );
  close();
  const now = [page, tables[0], tables[1], other];
  assertEquals(xen.calls, [`r-x ${now}`, `rwx ${table}`]);
});

Deno.test("a write to patched code that may not land is told with what was to be written", () => {
  using setting = withTables({ pauses: true, code: [0x88, 0x07] });
  const { xen, machine, root, page, told, set } = setting;
  const poke = 0x5555_0000_0000n;
  machine.map(root, poke, { frame: page });
  set(hvmCpu.rdi, poke);
  set(hvmCpu.rax, 0xccn);
  setting.patch(new Map([[page, START]]));
  const write = (address: bigint) => {
    xen.put(0, { frame: page, offset: 0n, address });
    xen.put(0, STEPPED);
    xen.notify();
    return xen.answers.at(-2)![1];
  };
  assertEquals(write(poke), PAUSED | DISCARD | STEP);
  assertEquals(told, [{
    vcpu: 0,
    ip: 0xffff_ffff_8100_1234n,
    frame: page,
    offset: 0,
    data: Uint8Array.of(0xcc),
  }]);
  assertEquals(machine.bytes(page)[0], 0);
  // By another way nobody reads what it is
  assertEquals(write(START), PAUSED | DISCARD | STEP);
  assertEquals(told[1]?.data, undefined);
});
