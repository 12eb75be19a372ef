import { assert, assertEquals, assertMatch, assertThrows } from "@std/assert";
import { FakeClock } from "../detect/testing/fake_clock.ts";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import { constants } from "./constants.ts";
import { memoryTypes } from "./device_model.ts";
import type { Domain } from "./domains.ts";
import { NoSuchDomainError, XenError } from "./errors.ts";
import type { EventLoop } from "./event_loop.ts";
import type { XenHost } from "./host.ts";
import { HvmGuest } from "./hvm_guest.ts";
import { Journal } from "./journal.ts";
import { hvmCpu } from "./layouts.ts";
import { entryBits } from "./page_walk.ts";
import type {
  InvariantRange,
  PlannedWrite,
  RegisterChange,
} from "./protection.ts";
import { DirtyLogHost } from "./testing/dirty_log_host.ts";
import { Machine } from "./testing/machine.ts";
import { MonitorHost } from "./testing/monitor_host.ts";
import { SyntheticHost } from "./testing/synthetic_host.ts";

const ESRCH = 3;
const EBUSY = 16;
const EINVAL = 22;
const PAGE_SIZE = 4096;
const LA57 = 1n << 12n;
const START = 0xffff_ffff_8000_0000n;
const REGION = {
  start: START,
  size: PAGE_SIZE,
  kind: "data",
  rungs: ["trap", "gate", "poll"],
} as const;

const domain: Domain = {
  id: 7,
  name: "web",
  uuid: "00112233-4455-6677-8899-aabbccddeeff",
  type: "PVH or HVM",
  paused: false,
  dying: false,
  state: "running",
  pages: 16,
  maxPages: 16,
  cpuTime: 0n,
  onlineVcpus: 3,
  maxVcpus: 3,
};

/** A guest of one page, filled with ones; all is given back. */
class Setting implements Disposable {
  readonly machine = new Machine();
  readonly xen = new SyntheticHost(this.machine, domain.id);
  readonly folder = Deno.makeTempDirSync();
  readonly frame = this.machine.map(this.xen.root, START);
  #stack = new DisposableStack();

  constructor() {
    this.machine.bytes(this.frame).fill(1);
  }

  /** Sets a register of all virtual CPUs. */
  set(offset: number, value: bigint): void {
    const view = new DataView(this.xen.hvmContext.buffer);
    view.setBigUint64(offset, value, true);
  }

  /** The guest as one monitor has it; the one before must be gone. */
  guest(host: XenHost = this.xen.host, loop?: EventLoop): HvmGuest {
    this.end();
    const journal = this.#stack.use(new Journal(domain.id, this.folder));
    return this.#stack.use(new HvmGuest(host, domain, journal, loop));
  }

  /** The monitor dies without undoing anything. */
  end(): void {
    this.#stack.dispose();
    this.#stack = new DisposableStack();
  }

  /** Names of what was noted, while no monitor runs. */
  get notes(): string[] {
    this.end();
    return [...Deno.readDirSync(this.folder)].map(({ name }) => name);
  }

  [Symbol.dispose](): void {
    this.end();
    this.machine[Symbol.dispose]();
    Deno.removeSync(this.folder, { recursive: true });
  }
}

Deno.test("a PV guest is refused", () => {
  using setting = new Setting();
  assertThrows(
    () => new HvmGuest(setting.xen.host, { ...domain, type: "PV" }),
    RangeError,
    "web is a PV guest",
  );
});

Deno.test("memory is read through the page tables of the first CPU", () => {
  using setting = new Setting();
  const guest = setting.guest();
  assertEquals(guest.root, setting.xen.root);
  assertEquals(guest.frame(START), setting.frame);
  assertEquals(guest.read(START + 4095n, 1), Uint8Array.of(1));
  assertThrows(() => guest.read(START + 4095n, 2), UnreadableMemoryError);
});

Deno.test("memory is read through any page tables as well", () => {
  using setting = new Setting();
  const { machine } = setting;
  const guest = setting.guest();
  const root = machine.allocate();
  const frame = machine.map(root, START);
  machine.bytes(frame).fill(2);
  assertEquals(guest.readThrough(root, START, 2), Uint8Array.of(2, 2));
  assertEquals(guest.read(START, 2), Uint8Array.of(1, 1));
  assertThrows(
    () => guest.readThrough(root, START + 4095n, 2),
    UnreadableMemoryError,
  );
});

Deno.test("refreshing looks at the CPUs anew, and nothing else does", () => {
  using setting = new Setting();
  setting.set(hvmCpu.rip, 5n);
  const guest = setting.guest();
  const seen = () => guest.cpus.map(({ vcpu, ip }) => [vcpu, ip]);
  assertEquals(seen(), [[0, 5n], [1, 5n], [2, 5n]]);
  setting.set(hvmCpu.rip, 6n);
  const root = setting.xen.root = setting.machine.allocate();
  setting.machine.map(root, START, { frame: setting.frame + 100n });
  assertEquals(seen(), [[0, 5n], [1, 5n], [2, 5n]]);
  assertEquals(guest.frame(START), setting.frame);
  guest.refresh();
  assertEquals(seen(), [[0, 6n], [1, 6n], [2, 6n]]);
  assertEquals(guest.frame(START), setting.frame + 100n);
});

Deno.test("the first CPU says how many levels the page tables have", () => {
  using setting = new Setting();
  const { machine, xen } = setting;
  const address = 0xff11_0000_0000_0000n;
  const walk = () => setting.guest().walk(address);
  assertEquals(walk().kind, "non-canonical");
  const fifth = machine.allocate();
  const { present } = entryBits;
  machine.setEntry(fifth, 0x111, xen.root << 12n | present);
  machine.map(xen.root, 0n, { frame: 0x77n });
  xen.root = fifth;
  assertEquals(walk().kind, "non-canonical");
  setting.set(hvmCpu.cr4, LA57);
  const five = walk();
  assertEquals(five.kind === "mapped" && five.frame, 0x77n);
  // All the other bits say nothing of it
  setting.set(hvmCpu.cr4, ~LA57);
  assertEquals(walk().kind, "non-canonical");
});

Deno.test("a CPU that was never brought up is left out until it is", () => {
  using setting = new Setting();
  setting.xen.down.add(1);
  const guest = setting.guest();
  const seen = () => guest.cpus.map(({ vcpu }) => vcpu);
  assertEquals(seen(), [0, 2]);
  setting.xen.down.delete(1);
  guest.refresh();
  assertEquals(seen(), [0, 1, 2]);
  // Without the first one there is no kernel
  setting.xen.down.add(0);
  const error = assertThrows(() => guest.refresh(), XenError);
  assertEquals(error.code, "ENODATA");
  assertEquals(seen(), [0, 1, 2]);
});

Deno.test("a guest that is gone is told as such, at any time", () => {
  using setting = new Setting();
  const guest = setting.guest();
  for (const read of [() => guest.refresh(), () => setting.guest()]) {
    setting.xen.contextError = ESRCH;
    const error = assertThrows(read, NoSuchDomainError, "web is gone");
    assert(error.cause instanceof XenError);
    setting.xen.contextError = EINVAL;
    assertThrows(read, XenError);
  }
});

Deno.test("a guest that is being taken apart is gone", () => {
  using setting = new Setting();
  const guest = setting.guest();
  setting.xen.dying = true;
  assertThrows(() => guest.assertAlive(), NoSuchDomainError);
  assertThrows(() => setting.guest(), NoSuchDomainError);
});

Deno.test("without an event loop nothing is protected, and nothing changed for it", () => {
  using setting = new Setting();
  const guest = setting.guest();
  assertEquals(guest.protect([REGION], LISTENER), {
    rungs: ["poll"],
    entries: 0,
    registers: false,
  });
  assertEquals([guest.unprotect(), guest.stuck], [undefined, 0]);
  assertEquals(setting.xen.calls, []);
  assertEquals(setting.notes, []);
});

/** A guest whose registers can be watched, and Xen's side of its events. */
function watched(setting: Setting) {
  const monitor = new MonitorHost();
  const { control } = setting.xen.host;
  const { host: events } = monitor;
  const { hvmCpu: _, domainInfoList: __, ...ofEvents } = events.control;
  const host = {
    ...setting.xen.host,
    libraries: events.libraries,
    hypercalls: events.hypercalls,
    control: Object.assign(Object.create(control), ofEvents),
  } as XenHost;
  const guest = () => setting.guest(host, monitor.loop);
  return { monitor, host, guest };
}

/** Lets all registers change but CR0. */
const LISTENER = {
  stopped: () => {},
  pauses: false,
  mayPatch: () => false,
  weakened: () => {},
  registers: {
    bits: { cr0: 1n, cr4: 2n },
    mayChange: ({ register }: RegisterChange) => register !== "cr0",
    mayLoad: () => true,
    denied: () => {},
    loadedUnread: () => {},
    weakened: () => {},
  },
};

Deno.test("registers are watched, once, until the guest is unprotected", () => {
  using setting = new Setting();
  const { monitor, guest: open } = watched(setting);
  const guest = open();
  for (let times = 0; times < 2; times++) {
    assertEquals(guest.protect([], LISTENER), {
      rungs: [],
      entries: 0,
      registers: true,
    });
  }
  assertEquals(monitor.calls.filter((call) => call === "enable").length, 1);
  monitor.put(0, {
    reason: constants.VM_EVENT_REASON_WRITE_CTRLREG,
    register: { index: constants.VM_EVENT_X86_CR0, value: 0n, before: 1n },
  });
  monitor.notify();
  assertEquals(monitor.answers, [[
    0,
    constants.VM_EVENT_FLAG_VCPU_PAUSED | constants.VM_EVENT_FLAG_DENY,
  ]]);
  assertEquals(guest.unprotect(), "its registers may change again");
  assertEquals(guest.unprotect(), undefined);
  assertEquals(setting.notes, []);
});

Deno.test("answers are rehearsed once a guest is protected, and none is given", () => {
  using setting = new Setting();
  const { monitor, guest } = watched(setting);
  guest().protect([], LISTENER);
  assert(monitor.notified > 0);
  assertEquals(monitor.answers, []);
});

Deno.test("the watch of a monitor that was killed is ended by the next one", () => {
  using setting = new Setting();
  const { monitor, host, guest } = watched(setting);
  {
    using journal = new Journal(domain.id, setting.folder);
    const killed = new HvmGuest(host, domain, journal, monitor.loop);
    killed.protect([], LISTENER);
  }
  monitor.calls.length = 0;
  assertEquals(guest().recover(false), "its registers may change again");
  assertEquals(monitor.calls, [
    "tell no tables",
    "disable",
    "end 0",
    "end 1",
    "end 2",
    "enable",
    "disable",
  ]);
  assertEquals(setting.notes, []);
});

Deno.test("a guest that is paused for its ring does not stay so if the monitor is killed then", () => {
  for (const before of [0, 1]) {
    using setting = new Setting();
    const { host, guest } = watched(setting);
    const { xen } = setting;
    const path = `${setting.folder}/${domain.id}.json`;
    const { control } = host;
    const enable = control.enableMonitor;
    // What a kill in the midst of it would leave, of each ring
    const notes: string[] = [];
    control.enableMonitor = (id) => {
      notes.push(Deno.readTextFileSync(path));
      return enable.call(control, id);
    };
    xen.pauses = before;
    const killed = guest();
    killed.protect([], LISTENER);
    killed.unprotect();
    control.enableMonitor = enable;
    assertEquals(notes.length, 2);
    for (const note of notes) {
      for (
        const [step, pauses] of [["paused", 1], ["not paused", 0]] as const
      ) {
        setting.end();
        Deno.writeTextFileSync(path, note);
        xen.pauses = before + pauses;
        guest().recover(false);
        assertEquals(xen.pauses, before, `${step}, ${before} before`);
      }
    }
  }
});

Deno.test("what Xen refuses to watch or to trap leaves no events and no note", () => {
  for (const call of ["enable", "control values", "tell 176"]) {
    using setting = new Setting();
    const { monitor, guest } = watched(setting);
    monitor.refused.set(call, EINVAL);
    const { registers, refused } = guest().protect([], LISTENER);
    assertEquals(registers, false);
    assert(refused?.includes(call));
    assertEquals(
      monitor.calls.at(-1),
      call === "enable" ? "enable" : "disable",
    );
    assertEquals(setting.notes, []);
  }
});

Deno.test("a processor that cannot trap has its registers watched all the same", () => {
  using setting = new Setting();
  const { monitor, guest: open } = watched(setting);
  monitor.refused.set(`r-x ${setting.frame}`, EINVAL);
  const guest = open();
  const trapped = { ...REGION, rungs: ["trap", "poll"] as const };
  const { rungs, registers } = guest.protect([trapped], LISTENER);
  assertEquals([rungs, registers], [["poll"], true]);
  assertEquals(monitor.calls.includes("disable"), false);
  assertEquals(guest.unprotect(), "its registers may change again");
});

Deno.test("a page stays trapped where registers cannot be watched", () => {
  using setting = new Setting();
  const { monitor, guest: open } = watched(setting);
  monitor.refused.set("tell 176", EINVAL);
  const guest = open();
  // As a guard does once the kernel is up
  for (let times = 0; times < 2; times++) {
    const { rungs, registers, refused } = guest.protect([REGION], LISTENER);
    assertEquals([rungs, registers], [["trap"], false]);
    assert(refused?.includes("tell 176"));
  }
  monitor.put(0, { frame: setting.frame });
  monitor.notify();
  assertEquals(
    monitor.answers.at(-1)![1] & constants.VM_EVENT_FLAG_EMULATE_NOWRITE,
    constants.VM_EVENT_FLAG_EMULATE_NOWRITE,
  );
  assertEquals(guest.unprotect(), "1 pages are writable again");
});

Deno.test("a page that is trapped is written to again when the guest is unprotected", () => {
  using setting = new Setting();
  const { monitor, guest: open } = watched(setting);
  const guest = open();
  assertEquals(guest.protect([REGION], LISTENER).rungs, ["trap"]);
  assertEquals(guest.unprotect(), "1 pages are writable again");
  const { frame } = setting;
  const calls = monitor.calls.filter((call) => /^r.x /.test(call));
  assertEquals(calls, [`r-x ${frame}`, `rwx ${frame}`]);
});

const { XENMEM_access_rx, XENMEM_access_rwx, HVMMEM_ram_rw, HVMMEM_ram_ro } =
  constants;

/** A guest of two pages: data, which can be trapped, and code, read-only. */
function guarded(setting: Setting) {
  const { machine, xen } = setting;
  const { monitor, host: watchedHost } = watched(setting);
  const data = setting.frame;
  const code = machine.map(xen.root, START + BigInt(PAGE_SIZE));
  const types = new Map([[code, HVMMEM_ram_rw as number]]);
  const refused = new Set<bigint>();
  const host = {
    ...watchedHost,
    hypercalls: {
      ...watchedHost.hypercalls,
      typesOf: (_domain: number, frames: readonly bigint[]) =>
        frames.map((frame) => types.get(frame)),
    },
    deviceModel: {
      setMemoryType: (
        _domain: number,
        frames: readonly bigint[],
        type: keyof typeof memoryTypes,
      ) => {
        for (const frame of frames) {
          if (refused.has(frame)) throw new XenError("set_mem_type", EINVAL);
          types.set(frame, memoryTypes[type]);
        }
      },
    },
  } as XenHost;
  const told: string[][] = [];
  const guest = setting.guest(host, monitor.loop);
  guest.protect([REGION, {
    ...REGION,
    start: START + BigInt(PAGE_SIZE),
    kind: "code",
    rungs: ["gate", "poll"],
  }], {
    ...LISTENER,
    weakened: (...what: string[]) => void told.push(what),
  });
  return {
    guest,
    told,
    refused,
    /** The guest has Xen replace both pages. */
    replace: () => {
      monitor.accesses.set(data, XENMEM_access_rwx);
      types.set(code, HVMMEM_ram_rw);
    },
    state: () => [monitor.accesses.get(data), types.get(code)],
    data,
    code,
    monitor,
  };
}

const GUARDED = [XENMEM_access_rx, HVMMEM_ram_ro];

Deno.test("pages that came in the place of guarded ones are guarded at a pass in the next second", () => {
  using clock = new FakeClock();
  using setting = new Setting();
  const { guest, told, replace, state } = guarded(setting);
  assertEquals(state(), GUARDED);
  guest.refresh("pass");
  replace();
  guest.refresh("pass");
  clock.pass(1000);
  guest.refresh();
  assertEquals(state(), [XENMEM_access_rwx, HVMMEM_ram_rw]);
  guest.refresh("pass");
  assertEquals(state(), GUARDED);
  assertEquals(told, [[
    "pages",
    "the guest had Xen replace guarded pages (2 times), which are guarded " +
    "again",
  ]]);
});

Deno.test("a page that Xen does not let be guarded again keeps no other from it, and ends nothing", () => {
  using clock = new FakeClock();
  using setting = new Setting();
  const { guest, told, replace, state, refused, monitor, data, code } = guarded(
    setting,
  );
  replace();
  monitor.refused.set(`r-x ${data}`, ESRCH);
  guest.refresh("full");
  assertEquals(state(), [XENMEM_access_rwx, HVMMEM_ram_ro]);
  monitor.refused.clear();
  replace();
  refused.add(code);
  clock.pass(60_000);
  guest.refresh("full");
  assertEquals(state(), [XENMEM_access_rx, HVMMEM_ram_rw]);
  assertEquals(told.map(([what]) => what), ["pages", "pages"]);
  assertMatch(told[1]![1]!, /Xen refuses to guard pages .*EINVAL/);
  refused.clear();
  clock.pass(1000);
  guest.refresh("pass");
  assertEquals(state(), GUARDED);
});

/** A guest of three pages whose writes are logged, and what is told of that. */
function logged(setting: Setting) {
  const { machine, xen } = setting;
  const log = new DirtyLogHost();
  const host = {
    ...xen.host,
    ...log.host,
    control: Object.assign(Object.create(xen.host.control), log.host.control),
  } as XenHost;
  const { loop } = new MonitorHost();
  const frames = [setting.frame];
  for (let page = 1; page < 3; page++) {
    frames.push(machine.map(xen.root, START + BigInt(page * PAGE_SIZE)));
    machine.bytes(frames[page]!).fill(1);
  }
  const size = frames.length * PAGE_SIZE;
  const told: string[] = [];
  const protect = (guest: HvmGuest) =>
    guest.protect(
      [{ start: START, size, kind: "code", rungs: ["dirty", "poll"] }],
      {
        stopped: () => {},
        pauses: false,
        mayPatch: () => false,
        weakened: (_, reason) => told.push(reason),
      },
    );
  return {
    log,
    host,
    frames,
    told,
    protect,
    trusted: new Uint8Array(size).fill(1),
    guest: () => setting.guest(host, loop),
    /** The guest changes a page, and the log knows or does not. */
    write: (page: number, value: number, isLogged = true) => {
      machine.bytes(frames[page]!)[5] = value;
      if (isLogged) log.write(frames[page]!);
    },
  };
}

Deno.test("a page that another came in the place of is seen at a pass in the next second, or at a full look", () => {
  for (const depth of ["pass", "full"] as const) {
    using clock = new FakeClock();
    using setting = new Setting();
    const { machine } = setting;
    const guest = setting.guest();
    const trusted = guest.trustedCopy(guest.read(START, PAGE_SIZE));
    guest.refresh("pass");
    assertEquals(guest.compare(START, trusted), []);
    machine.replaced.set(setting.frame, machine.allocate());
    if (depth === "pass") {
      guest.refresh("pass");
      assertEquals(guest.compare(START, trusted), []);
      clock.pass(1000);
      // Who waits for an answer does not wait for that
      guest.refresh();
      assertEquals(guest.compare(START, trusted), []);
    }
    guest.refresh(depth);
    assertEquals(guest.compare(START, trusted), [0]);
    assertEquals(guest.read(START, 1), Uint8Array.of(0));
  }
});

Deno.test("a page that was given back is unreadable, and read again when there is one", () => {
  using clock = new FakeClock();
  using setting = new Setting();
  const { machine, frame } = setting;
  const guest = setting.guest();
  const trusted = guest.trustedCopy(guest.read(START, PAGE_SIZE));
  const look = () => {
    clock.pass(1000);
    guest.refresh("pass");
    return guest.compare(START, trusted);
  };
  assertEquals(look(), []);
  const mapped = machine.mappedPages;
  machine.refused.add(frame);
  assertThrows(look, UnreadableMemoryError);
  assertEquals(machine.mappedPages, mapped - 1);
  machine.refused.clear();
  assertEquals(look(), []);
  assertEquals(machine.mappedPages, mapped);
});

Deno.test("memory is mapped again for a fiftieth of the time, and not less than once in 10 seconds", () => {
  for (
    const [took, wait] of [[1, 1000], [20, 1000], [40, 2000], [300, 10_000]]
  ) {
    using clock = new FakeClock();
    using setting = new Setting();
    const { machine } = setting;
    const guest = setting.guest();
    const trusted = guest.trustedCopy(guest.read(START, PAGE_SIZE));
    let renewals = 0;
    guest.refresh("full");
    guest.compare(START, trusted);
    clock.pass(1000);
    machine.onMapOver = () => {
      // All of it is the time of the first mapping
      if (renewals++ === 0) clock.pass(took!);
    };
    guest.refresh("pass");
    assert(renewals > 0);
    renewals = 0;
    clock.pass(wait! - took! - 1);
    guest.refresh("pass");
    assertEquals(renewals, 0, `${took}`);
    clock.pass(1);
    guest.refresh("pass");
    assert(renewals > 0, `${took}`);
  }
});

Deno.test("where writes are logged a page that another came in the place of is compared in the next second", () => {
  using clock = new FakeClock();
  using setting = new Setting();
  const { machine } = setting;
  const { log, guest: open, protect, trusted, frames } = logged(setting);
  const guest = open();
  protect(guest);
  guest.refresh("full");
  guest.compare(START, trusted);
  guest.refresh("pass");
  assertEquals(guest.compare(START, trusted), []);
  machine.replaced.set(frames[1]!, machine.allocate());
  log.ordinary.add(frames[1]!);
  guest.refresh("pass");
  assertEquals(guest.compare(START, trusted), []);
  clock.pass(1000);
  guest.refresh("pass");
  assertEquals(guest.compare(START, trusted), [1]);
  assertEquals(log.calls.filter((call) => call.startsWith("mark")), [
    `mark ${frames[0]}`,
    `mark ${frames[1]}`,
  ]);
});

Deno.test("a page table that another came in the place of is seen as well", () => {
  using setting = new Setting();
  const { machine, xen } = setting;
  const guest = setting.guest();
  guest.refresh();
  assertEquals(guest.frame(START), setting.frame);
  const { table, index } = machine.leaf(xen.root, START);
  const other = machine.allocate();
  machine.bytes(other).set(machine.bytes(table));
  const elsewhere = machine.allocate();
  machine.setEntry(other, index, elsewhere << 12n | entryBits.present);
  machine.replaced.set(table, other);
  guest.refresh("pass");
  assertEquals(guest.frame(START), elsewhere);
});

Deno.test("where writes are logged only what was written to is compared again", () => {
  using setting = new Setting();
  const { guest: open, protect, trusted, write } = logged(setting);
  const guest = open();
  assertEquals(protect(guest).rungs, ["dirty"]);
  const look = (full = false) => {
    guest.refresh(full ? "full" : "pass");
    return guest.compare(START, trusted);
  };
  assertEquals(look(), []);
  // Whatever was not logged is found by a full look alone
  write(1, 7, false);
  write(2, 7);
  assertEquals(guest.compare(START, trusted), []);
  assertEquals(look(), [2]);
  assertEquals(look(true), [1, 2]);
  assertEquals(look(), [1, 2]);
  // What was written to once is compared always
  write(2, 1, false);
  assertEquals(look(), [1]);
  write(2, 7, false);
  assertEquals(look(), [1, 2]);
});

Deno.test("a page whose trusted copy has changed is compared if it is named, and from then on", () => {
  using setting = new Setting();
  const { guest: open, protect, trusted } = logged(setting);
  const guest = open();
  protect(guest);
  assertEquals(guest.compare(START, trusted), []);
  trusted[PAGE_SIZE + 5] = 7;
  assertEquals(guest.compare(START, trusted), []);
  assertEquals(guest.compare(START, trusted, [1]), [1]);
  assertEquals(guest.compare(START, trusted), [1]);
});

Deno.test("a page that was written to while nothing was logged is compared first", () => {
  using setting = new Setting();
  const { guest: open, protect, trusted, write } = logged(setting);
  const guest = open();
  protect(guest);
  assertEquals(guest.compare(START, trusted), []);
  guest.unprotect();
  write(1, 7);
  protect(guest);
  guest.refresh();
  assertEquals(guest.compare(START, trusted), [1]);
});

Deno.test("a page that differed is compared whenever its trusted copy may have changed", () => {
  using setting = new Setting();
  const { guest: open, protect, trusted, write } = logged(setting);
  const guest = open();
  write(1, 7);
  protect(guest);
  assertEquals(guest.compare(START, trusted), [1]);
  // The kernel accounts for it, until it does not
  trusted[PAGE_SIZE + 5] = 7;
  assertEquals(guest.compare(START, trusted), []);
  trusted[PAGE_SIZE + 5] = 1;
  assertEquals(guest.compare(START, trusted), [1]);
  // Another copy is another question
  assertEquals(guest.compare(START, trusted.slice().fill(2)), [0, 1, 2]);
});

Deno.test("pages that lead to one frame are all compared when it was written to", () => {
  using setting = new Setting();
  const { guest: open, protect, trusted, write, frames } = logged(setting);
  const { machine, xen } = setting;
  const address = START + BigInt(2 * PAGE_SIZE);
  machine.map(xen.root, address, { frame: frames[1]! });
  const guest = open();
  protect(guest);
  assertEquals(guest.compare(START, trusted), []);
  write(1, 7);
  guest.refresh();
  assertEquals(guest.compare(START, trusted), [1, 2]);
});

Deno.test("a page whose writes are not logged is compared always", () => {
  using setting = new Setting();
  const { guest: open, protect, trusted } = logged(setting);
  const { machine, xen } = setting;
  const guest = open();
  protect(guest);
  const frame = machine.map(xen.root, START + BigInt(trusted.length));
  const longer = new Uint8Array(trusted.length + PAGE_SIZE);
  longer.set(trusted);
  assertEquals(guest.compare(START, longer), []);
  machine.bytes(frame)[5] = 7;
  guest.refresh();
  assertEquals(guest.compare(START, longer), [3]);
});

Deno.test("a page that leads to another frame is compared", () => {
  using setting = new Setting();
  const { guest: open, protect, trusted } = logged(setting);
  const guest = open();
  protect(guest);
  assertEquals(guest.compare(START, trusted), []);
  setting.machine.map(setting.xen.root, START + BigInt(PAGE_SIZE));
  guest.refresh();
  assertEquals(guest.compare(START, trusted), [1]);
});

Deno.test("when somebody else takes the log over all is compared, and that is told once", () => {
  using setting = new Setting();
  const { log, guest: open, ...rest } = logged(setting);
  const { protect, trusted, write, told } = rest;
  const guest = open();
  protect(guest);
  assertEquals(guest.compare(START, trusted), []);
  write(1, 7);
  log.migrate();
  for (let looks = 0; looks < 2; looks++) {
    guest.refresh();
    assertEquals(guest.compare(START, trusted), [1]);
  }
  assertEquals(told, [
    "somebody else logs what the guest writes, such as a live migration",
  ]);
  assertEquals(guest.unprotect(), undefined);
  assertEquals([log.isOn, log.buffers], [true, 0]);
  assertEquals(setting.notes, []);
});

Deno.test("what Xen cannot log any more is compared as well", () => {
  using setting = new Setting();
  const { log, guest: open, ...rest } = logged(setting);
  const { protect, trusted, write, told } = rest;
  const guest = open();
  protect(guest);
  guest.compare(START, trusted);
  log.refused.set("read", 12);
  write(1, 7);
  guest.refresh();
  assertEquals(guest.compare(START, trusted), [1]);
  assertEquals(told, ["read: out of memory (ENOMEM)"]);
});

Deno.test("a guest that is gone is no log that was lost", () => {
  using setting = new Setting();
  const { log, guest: open, protect, told } = logged(setting);
  const guest = open();
  protect(guest);
  log.refused.set("read", EINVAL);
  setting.xen.dying = true;
  assertThrows(() => guest.refresh(), NoSuchDomainError);
  assertEquals(told, []);
});

Deno.test("what Xen refuses to log is polled, with no note of it", () => {
  using setting = new Setting();
  const { log, guest, protect } = logged(setting);
  log.refused.set("begin", 16);
  const { rungs, refused } = protect(guest());
  assertEquals(rungs, ["poll"]);
  assertEquals(
    refused,
    "Xen does not log what it writes: pages of it are gated",
  );
  assertEquals(setting.notes, []);
});

Deno.test("the log of a guest's writes ends with its protection", () => {
  using setting = new Setting();
  const { log, guest: open, protect } = logged(setting);
  const guest = open();
  // As a guard does once the kernel is up
  for (let times = 0; times < 2; times++) protect(guest);
  assertEquals(log.isOn, true);
  assertEquals(guest.unprotect(), "its writes are logged no more");
  assertEquals(guest.unprotect(), undefined);
  assertEquals([log.isOn, log.buffers], [false, 0]);
  assertEquals(setting.notes, []);
});

Deno.test("the log of a monitor that was killed is ended by the next one, if it is still ours", () => {
  for (const migrates of [false, true]) {
    using setting = new Setting();
    const { log, guest, protect } = logged(setting);
    protect(guest());
    if (migrates) log.migrate();
    assertEquals(
      guest().recover(false),
      migrates ? "found nothing to undo" : "its writes are logged no more",
    );
    assertEquals([log.isOn, log.buffers], [migrates, 0]);
    assertEquals(setting.notes, []);
  }
});

Deno.test("the tables on the way to a page are trapped once the kernel is up, noted and opened again", () => {
  using setting = new Setting();
  const { monitor, guest: open } = watched(setting);
  const guest = open();
  guest.protect([REGION], LISTENER);
  guest.protect([{ ...REGION, settled: true }], LISTENER);
  const walk = guest.walk(START);
  const tables = walk.steps.slice(1).map(({ table }) => table);
  assertEquals(tables.length, 3);
  const { frame } = setting;
  const calls = () => monitor.calls.filter((call) => /^r.x /.test(call));
  const trapped = [frame, ...tables];
  assertEquals(calls(), [`r-x ${frame}`, `r-x ${trapped}`]);
  // The next monitor knows them from the journal
  monitor.calls.length = 0;
  assertEquals(open().recover(false), "4 pages are writable again");
  assertEquals(calls(), [`rwx ${trapped}`]);
  assertEquals(setting.notes, []);
});

Deno.test("code that its kernel patches is trapped as such, and no failure where it cannot be", () => {
  using setting = new Setting();
  const { monitor, guest: open } = watched(setting);
  const guest = open();
  const patched: InvariantRange = {
    ...REGION,
    kind: "code",
    patched: true,
    rungs: ["trap", "poll"],
  };
  const asked: PlannedWrite[] = [];
  const listener = {
    ...LISTENER,
    mayPatch: (write: PlannedWrite) => {
      asked.push(write);
      return true;
    },
  };
  assertEquals(guest.protect([patched], listener).rungs, ["trap"]);
  // mov %al,(%rdi), to a mapping of the moment
  const { machine, xen, frame } = setting;
  const [code, poke] = [0xffff_ffff_8001_0000n, 0x5555_0000_0000n];
  machine.bytes(machine.map(xen.root, code)).set([0x88, 0x07]);
  machine.map(xen.root, poke, { frame });
  setting.set(hvmCpu.msr_efer, 0xd01n);
  setting.set(hvmCpu.cs_arbytes, 0xa9bn);
  setting.set(hvmCpu.rip, code);
  setting.set(hvmCpu.rdi, poke + 0x30n);
  setting.set(hvmCpu.rax, 0xccn);
  monitor.put(0, { frame, offset: 0x30n, address: poke + 0x30n });
  monitor.notify();
  assertEquals(asked, [{ address: START + 0x30n, data: Uint8Array.of(0xcc) }]);
  assertEquals(machine.bytes(frame)[0x30], 0xcc);
  guest.unprotect();
  monitor.refused.set(`r-x ${setting.frame}`, 22);
  const { rungs, refused } = guest.protect([patched], listener);
  assertEquals([rungs, refused], [["poll"], undefined]);
  // Where it could be, and cannot now, it is one
  monitor.refused.set(`r-x ${setting.frame}`, EBUSY);
  assertMatch(guest.protect([patched], listener).refused!, /EBUSY/);
});

Deno.test("a hold is made once and undone once", () => {
  using setting = new Setting();
  const guest = setting.guest();
  guest.hold();
  guest.hold();
  assertEquals([setting.xen.pauses, guest.held], [1, true]);
  guest.endHold();
  guest.endHold();
  assertEquals([setting.xen.pauses, guest.held], [0, false]);
  assertEquals(setting.notes, []);
});

Deno.test("a guest runs on when a monitor is killed that held it", () => {
  using setting = new Setting();
  setting.guest().hold();
  assertEquals(setting.guest().recover(false), "ended its pause");
  assertEquals(setting.xen.pauses, 0);
  assertEquals(setting.notes, []);
});

Deno.test("a pause after an attack stays until it is released", () => {
  using setting = new Setting();
  const guest = setting.guest();
  guest.pauseForAttack();
  // As a monitor does that ends
  guest.unprotect();
  guest.endHold();
  const next = setting.guest();
  assertEquals(next.recover(false), "left it paused after an attack");
  assertEquals([setting.xen.pauses, next.pausedForAttack], [1, true]);
  assertEquals(
    setting.guest().recover(true),
    "ended the pause after an attack",
  );
  assertEquals(setting.xen.pauses, 0);
  assertEquals(setting.notes, []);
});

Deno.test("an operator's unpause ends a pause after an attack", () => {
  using setting = new Setting();
  const guest = setting.guest();
  guest.pauseForAttack();
  setting.xen.pauses = 0;
  assertEquals([guest.held, guest.pausedForAttack], [false, false]);
  assertEquals(setting.notes, []);
});

Deno.test("a guest without a journal is held all the same", () => {
  using setting = new Setting();
  using guest = new HvmGuest(setting.xen.host, domain);
  guest.hold();
  assertEquals(guest.held, true);
  guest.endHold();
  assertEquals(setting.xen.calls, ["pause", "unpause"]);
  assertEquals(guest.recover(true), undefined);
});

Deno.test("nothing stays mapped of a guest that is given back", () => {
  using setting = new Setting();
  const guest = setting.guest();
  guest.compare(START, new Uint8Array(PAGE_SIZE));
  guest.mapped(START, 1n << 64n);
  assert(setting.machine.mappedPages > 1);
  guest[Symbol.dispose]();
  assertEquals(setting.machine.mappedPages, 0);
});

Deno.test("nothing stays mapped of a guest whose events Xen refuses to end", () => {
  using setting = new Setting();
  const { monitor, guest: guarded } = watched(setting);
  const guest = guarded();
  guest.protect([], LISTENER);
  guest.compare(START, new Uint8Array(PAGE_SIZE));
  monitor.refused.set("disable", EBUSY);
  assertThrows(() => guest[Symbol.dispose](), XenError);
  assertEquals(setting.machine.mappedPages, 0);
  monitor.refused.clear();
});

Deno.test("entries of page tables are the guest's own memory, and written as such", () => {
  using setting = new Setting();
  const guest = setting.guest();
  const { table, index } = setting.machine.leaf(setting.xen.root, START);
  const before = setting.machine.entry(table, index);
  guest.writeEntries([{ table, index, entry: before & ~entryBits.writable }]);
  assertEquals(
    setting.machine.entry(table, index),
    before & ~entryBits.writable,
  );
  assertEquals(setting.machine.entry(table, index + 1), 0n);
  // A live migration has to send it again
  assertEquals(setting.xen.written, [table]);
});

Deno.test("a frame that Xen does not let be written is told", () => {
  using setting = new Setting();
  const guest = setting.guest();
  setting.machine.readOnly.add(setting.frame);
  assertThrows(
    () => guest.writeMemory(START, Uint8Array.of(7)),
    RangeError,
    "Xen refuses writes to frame",
  );
  assertEquals(guest.read(START, 1), Uint8Array.of(1));
});
