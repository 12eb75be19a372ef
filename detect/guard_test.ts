import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import type { EventBody, Response } from "./event.ts";
import { type Rung, rungs } from "../xen/protection.ts";
import {
  armedGuard as armed,
  type GuardSetting,
  unarmedGuard as setUp,
} from "./testing/armed_guard.ts";
import { littleEndian } from "./little_endian.ts";
import { FakeClock } from "./testing/fake_clock.ts";
import { faultPage } from "./testing/fault_page.ts";
import { hvmCpu } from "./testing/hvm_cpu.ts";
import {
  ELSEWHERE,
  LIMITS,
  SCRATCH,
  TABLE,
  TEXT,
} from "./testing/guarded_kernel.ts";

/** Present, and a write */
const WRITE_FAULT = 3;
/** Of a page-table entry */
const WRITABLE = 2n;
/** Of CR0 */
const WP = 1n << 16n;

/** Rule and place of each finding reported. */
function findings(told: readonly EventBody[]): [string, bigint][] {
  return told.flatMap((event) =>
    event.type === "finding"
      ? [[event.finding.rule.id, event.finding.address]]
      : []
  );
}

function fault(sequence: bigint, address = TABLE + 8n) {
  return { sequence, address, ip: TEXT + 0x14n, errorCode: WRITE_FAULT };
}

Deno.test("a page that nobody makes read-only may be writable, as it was mapped", async () => {
  const { guest, guard, told } = setUp({ response: "report" }, ["poll"]);
  const [known, added] = [SCRATCH + 0x1000n, SCRATCH + 0x2000n];
  for (const page of [known, added]) guest.map(page, new Uint8Array(4096));
  const alias = guest.entry(TABLE) | WRITABLE;
  guest.setEntry(known, alias);
  guard.arm();
  await guard.pass();
  assertEquals(findings(told), []);
  guest.setEntry(added, alias);
  await guard.pass();
  assertEquals(findings(told), [["XK-003", TABLE]]);
  guest.setEntry(TABLE, guest.entry(ELSEWHERE));
  await guard.pass();
  assertEquals(findings(told).at(-1), ["XK-003", TABLE]);
});

Deno.test("arming makes every region read-only and says what is guarded", () => {
  const { guest, guard, told } = setUp();
  guard.arm();
  assertEquals(guard.booted, true);
  const [event, ...rest] = told;
  assertEquals(rest, []);
  if (event?.type !== "armed") throw new Error("The first event is `armed`");
  assertEquals([event.os, event.phase, event.entries], [
    "Synthetic 1.0",
    "running",
    4,
  ]);
  assertEquals(
    event.regions.map(({ name, pages, source }) => [name, pages, source]),
    [
      ["kernel text", 2, "kernel file"],
      ["sys_call_table", 1, "kernel file"],
      ["limits", 1, "kernel file"],
    ],
  );
  const writable = [TEXT, TEXT + 0x1000n, TABLE, LIMITS, SCRATCH]
    .map((address) => (guest.entry(address) & 2n) !== 0n);
  assertEquals(writable, [false, false, false, false, true]);
});

Deno.test("a region that is not mapped cannot be guarded", () => {
  const { guest, guard, told } = setUp();
  guest.unmap(LIMITS);
  assertThrows(() => guard.arm(), UnreadableMemoryError);
  assertEquals(told, []);
});

Deno.test("while the kernel boots only contents are judged", async () => {
  const { guest, guard, told } = setUp({ booted: false, response: "report" });
  guard.arm();
  assertEquals(guard.booted, false);
  guest.cpus = [{ ...guest.cpus[0]!, root: 0x99n, traps: [] }];
  guest.setEntry(TABLE, guest.entry(TABLE) | 2n);
  await guard.pass();
  assertEquals(findings(told), []);
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  assertEquals(findings(told), [["XK-002", TABLE + 8n]]);
});

Deno.test("once the kernel is up all rules are at work, from its state then", async () => {
  const { guest, guard, told } = setUp({ booted: false, response: "report" });
  guard.arm();
  guest.cpus = [{ ...guest.cpus[0]!, root: 0x99n }];
  guest.setEntry(TABLE, guest.entry(TABLE) | 2n);
  guest.write(SCRATCH, [1]);
  await guard.pass();
  assertEquals(guard.booted, true);
  assertEquals(
    told.map((event) => event.type === "armed" && event.phase),
    ["booting", "running"],
  );
  // Read-only again, and the root of now is trusted
  assertEquals(guest.entry(TABLE) & 2n, 0n);
  guest.cpus = [{ ...guest.cpus[0]!, root: 0x98n }];
  await guard.pass();
  assertEquals(findings(told), [["XK-005", 0x98000n]]);
});

Deno.test("what changes while the kernel boots does not become trusted", async () => {
  for (const fromFile of [true, false]) {
    const { guest, guard, told } = setUp({
      booted: false,
      response: "report",
      fromFile,
    });
    guard.arm();
    guest.write(LIMITS, [0xee]);
    guest.write(SCRATCH, [1]);
    await guard.pass();
    assertEquals(findings(told), [["XK-002", LIMITS]]);
  }
});

Deno.test("a kernel that hides itself for a moment is told of and armed afterwards", async () => {
  const { guest, guard, told } = setUp({ booted: false });
  guard.arm();
  const entry = guest.entry(SCRATCH);
  guest.unmap(SCRATCH);
  await guard.pass();
  await guard.pass();
  assertEquals(guard.booted, false);
  assertEquals(told.filter(({ type }) => type === "unreadable").length, 1);
  guest.setEntry(SCRATCH, entry);
  guest.write(SCRATCH, [1]);
  await guard.pass();
  assertEquals(guard.booted, true);
});

Deno.test("a kernel that says for ever that it boots is told of, once", async () => {
  const { guest, guard, told } = setUp({ booted: false });
  guard.arm();
  const untold = () =>
    told.flatMap((event) =>
      event.type === "unreadable" ? [event.unreadable.rule.id] : []
    );
  for (let pass = 0; pass < 1000; pass++) await guard.pass();
  assertEquals(untold(), []);
  for (let pass = 0; pass < 1000; pass++) await guard.pass();
  assertEquals(untold(), ["XK-003", "XK-004"]);
  guest.write(SCRATCH, [1]);
  await guard.pass();
  assertEquals(guard.booted, true);
});

Deno.test("a quiet guest is neither stopped nor told of", async () => {
  const { guest, guard, told } = armed();
  for (let pass = 0; pass < 5; pass++) {
    guest.write(SCRATCH + 0x10n, [pass]);
    await guard.pass();
  }
  assertEquals(told, []);
  assertEquals(guest.calls, []);
});

Deno.test("an attack is seen again on the paused guest before it is told", async () => {
  const { guest, guard, told } = armed();
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  assertEquals(guest.calls, ["pause", "finding", "response"]);
  assertEquals(findings(told), [["XK-002", TABLE + 8n]]);
  assertEquals(guest.paused, true);
});

Deno.test("a change that is gone at the second look is not told, and the guest runs on", async () => {
  for (const response of ["pause", "report", "destroy"] as const) {
    const { guest, guard, told } = armed({ response });
    guest.beforeLook = (count) => {
      // The arming was the first look
      if (count === 2) guest.write(TABLE + 8n, [0x18]);
      if (count === 3) guest.write(TABLE + 8n, [0x20]);
    };
    await guard.pass();
    assertEquals(told, []);
    assertEquals(guest.paused, false);
    assertEquals(
      guest.calls,
      response === "report" ? [] : ["pause", "unpause"],
    );
  }
});

Deno.test("a guest that writes something new at each look is told of all the same", async () => {
  const { guest, guard, told } = armed({ response: "report" });
  guest.beforeLook = (count) => guest.write(TABLE + 8n, [0x40 + count]);
  await guard.pass();
  assertEquals(findings(told), [["XK-002", TABLE + 8n]]);
});

Deno.test("what only the second look shows is told when it is seen again", async () => {
  const { guest, guard, told } = armed({ response: "report" });
  guest.write(TABLE + 8n, [0x18]);
  guest.beforeLook = (count) => {
    if (count === 3) guest.write(LIMITS, [0xee]);
  };
  await guard.pass();
  assertEquals(findings(told), [["XK-002", TABLE + 8n]]);
  await guard.pass();
  assertEquals(findings(told).slice(1), [["XK-002", LIMITS]]);
});

Deno.test("each incident is told once", async () => {
  for (const response of ["report", "pause"] as const) {
    const { guest, guard, told } = armed({ response });
    guest.write(TABLE + 8n, [0x18]);
    for (let pass = 0; pass < 4; pass++) await guard.pass();
    assertEquals(findings(told).length, 1);
    guest.write(LIMITS, [0xee]);
    for (let pass = 0; pass < 4; pass++) await guard.pass();
    assertEquals(findings(told).slice(1), [["XK-002", LIMITS]]);
  }
});

Deno.test("an incident that goes away and comes back is new", async () => {
  const { guest, guard, told } = armed({ response: "report" });
  for (const byte of [0x18, 0x20, 0x18]) {
    guest.write(TABLE + 8n, [byte]);
    await guard.pass();
    await guard.pass();
  }
  assertEquals(findings(told).length, 2);
});

Deno.test("a guest that an operator lets run is not stopped for what is known", async () => {
  const { guest, guard } = armed();
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  guest.letRun();
  guest.calls.length = 0;
  await guard.pass();
  assertEquals(guest.calls, []);
  assertEquals(guest.paused, false);
});

Deno.test("a second attack that proves nothing leaves the pause of the first", async () => {
  const { guest, guard } = armed();
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  let looks = 0;
  guest.beforeLook = () => guest.write(LIMITS, [++looks === 1 ? 0xee : 0x11]);
  await guard.pass();
  assertEquals(guest.paused, true);
});

Deno.test("each response does what it says", async () => {
  const expected: [Response, string[]][] = [
    ["report", ["finding"]],
    ["pause", ["pause", "finding", "response"]],
    ["reboot", ["pause", "finding", "response", "reboot"]],
    ["destroy", ["pause", "finding", "response", "destroy"]],
  ];
  for (const [response, calls] of expected) {
    const { guest, guard, told } = armed({ response });
    guest.write(TABLE + 8n, [0x18]);
    await guard.pass();
    assertEquals(guest.calls, calls);
    const said = told.find(({ type }) => type === "response");
    assertEquals(
      said?.type === "response" ? said.response : undefined,
      response === "report" ? undefined : response,
    );
  }
});

Deno.test("a destruction that fails is not kept quiet", async () => {
  const { guest, guard } = armed({ response: "destroy" });
  guest.destroy = () => Promise.reject(new Error("xl destroy: no"));
  guest.write(TABLE + 8n, [0x18]);
  await assertRejects(() => guard.pass(), Error, "xl destroy");
});

Deno.test("a fault stops the guest before it is told", async () => {
  const { guest, guard, told } = armed();
  await guard.faults(faultPage([fault(1n)]));
  assertEquals(guest.calls, ["pause", "finding", "response"]);
  assertEquals(findings(told), [["XK-002", TABLE + 8n]]);
});

Deno.test("with a fault the guest is looked at as well", async () => {
  const { guest, guard, told } = armed();
  guest.write(LIMITS, [0xee]);
  await guard.faults(faultPage([fault(1n)]));
  assertEquals(findings(told), [["XK-002", TABLE + 8n], ["XK-002", LIMITS]]);
  await guard.pass();
  assertEquals(findings(told).length, 2);
});

Deno.test("an event holds the guest until its fault is judged", async () => {
  const { guest, guard } = armed();
  guard.hold();
  assertEquals(guest.calls, ["pause"]);
  await guard.faults(faultPage([fault(1n)]));
  assertEquals(guest.calls, ["pause", "finding", "response"]);
  assertEquals(guest.paused, true);
});

Deno.test("a guest that was held for nothing runs on", async () => {
  const { guest, guard } = armed();
  for (const page of [new Uint8Array(4096), faultPage([fault(1n, SCRATCH)])]) {
    guard.hold();
    await guard.faults(page);
  }
  assertEquals(guest.calls, ["pause", "unpause", "pause", "unpause"]);
  assertEquals(guest.paused, false);
});

Deno.test("an event for nothing does not end the pause after an attack", async () => {
  const { guest, guard } = armed();
  await guard.faults(faultPage([fault(1n)]));
  guard.hold();
  await guard.faults(faultPage([fault(1n)]));
  assertEquals(guest.paused, true);
  assertEquals(guest.calls, ["pause", "finding", "response"]);
});

Deno.test("a guest that is only reported of is not held, nor one that is not armed", () => {
  const reported = armed({ response: "report" });
  reported.guard.hold();
  assertEquals(reported.guest.calls, []);
  const unarmed = setUp();
  unarmed.guard.hold();
  assertEquals(unarmed.guest.calls, []);
});

Deno.test("faults from before the arming are not judged, those after it are", async () => {
  const { guard, told } = setUp({ response: "report" });
  await guard.faults(faultPage([fault(1n)]));
  guard.arm();
  await guard.faults(faultPage([fault(1n), fault(2n, LIMITS)]));
  assertEquals(findings(told), [["XK-002", LIMITS]]);
});

Deno.test("faults that concern nothing protected change nothing", async () => {
  const { guest, guard, told } = armed();
  await guard.faults(faultPage([
    fault(1n, SCRATCH),
    { ...fault(2n), errorCode: 1 },
  ]));
  await guard.faults(new Uint8Array(4096));
  assertEquals(told, []);
  assertEquals(guest.calls, []);
});

Deno.test("a record is taken once, and a write tried again is the same incident", async () => {
  const { guard, told } = armed({ response: "report" });
  await guard.faults(faultPage([fault(1n)]));
  await guard.faults(faultPage([fault(1n)]));
  await guard.faults(faultPage([fault(1n), fault(2n)]));
  assertEquals(findings(told).length, 1);
  await guard.faults(faultPage([fault(1n), fault(2n), fault(3n, LIMITS)]));
  assertEquals(findings(told).slice(1), [["XK-002", LIMITS]]);
});

Deno.test("a write that is tried again after the guest was let run is told and stopped again", async () => {
  const { guest, guard, told } = armed();
  await guard.faults(faultPage([fault(1n)]));
  assertEquals(guest.pausedForAttack, true);
  guest.letRun();
  await guard.faults(faultPage([fault(1n), fault(2n), fault(3n)]));
  assertEquals(findings(told).length, 2);
  assertEquals(guest.pausedForAttack, true);
});

Deno.test("a forged sequence does not mute the faults after it", async () => {
  const { guard, told } = armed({ response: "report" });
  const forged = fault(2n ** 64n - 1n, SCRATCH);
  await guard.faults(faultPage([forged]));
  await guard.faults(faultPage([forged, fault(1n)]));
  await guard.faults(faultPage([forged, fault(1n), fault(2n, LIMITS)]));
  assertEquals(findings(told), [["XK-002", TABLE + 8n], ["XK-002", LIMITS]]);
});

Deno.test("a storm of faults is told once a place", async () => {
  const { guest, guard, told } = armed({ response: "report" });
  for (let round = 0n; round < 100n; round++) {
    const records = Array.from(
      { length: 63 },
      (_, n) => fault(round * 63n + BigInt(n) + 1n, TABLE + 8n * BigInt(n % 3)),
    );
    await guard.faults(faultPage(records));
  }
  assertEquals(findings(told).length, 3);
  assertEquals(guest.calls.filter((call) => call !== "finding"), []);
});

Deno.test("a guest cannot fill the log with faults", async () => {
  const { guard, told } = armed({ response: "report" });
  for (let round = 0n; round < 100n; round++) {
    const records = Array.from({ length: 63 }, (_, n) => ({
      ...fault(round * 63n + BigInt(n) + 1n),
      ip: TEXT + round * 63n + BigInt(n),
    }));
    await guard.faults(faultPage(records));
  }
  const notices = told.filter(({ type }) => type === "notice");
  assertEquals(notices.length, 1);
  assertEquals(findings(told).length, 64);
});

/** A write to a page that Xen stopped. */
function stopped(guest: { frame(address: bigint): bigint }, page = TABLE) {
  return {
    vcpu: 0,
    ip: TEXT + 0x14n,
    frame: guest.frame(page),
    offset: 8,
    size: 8,
    data: new Uint8Array(8).fill(0x66),
  };
}

Deno.test("a write that Xen stopped pauses the guest and is told with what it wanted", () => {
  const { guest, told } = armed();
  guest.stopped(stopped(guest));
  assertEquals(guest.calls, ["pause", "finding", "response"]);
  const [event] = told;
  if (event?.type !== "finding") throw new Error("The first is the finding");
  const { rule, seen, address, expected, attempted, ip } = event.finding;
  assertEquals(
    [rule.id, seen, address, ip, expected?.toHex(), attempted?.toHex()],
    [
      "XK-002",
      "stop",
      TABLE + 8n,
      TEXT + 0x14n,
      "20000080ffffffff",
      "6666666666666666",
    ],
  );
  // It stands still: nothing more can come of it
  assertEquals(guest.pausedForAttack, true);
});

/** Arms on a rung; the names of the regions that writes were rehearsed to. */
function rehearse(rung: Rung, unmapped = false) {
  const rehearsed: string[] = [];
  const all = setUp({
    rehearsed: (event) => {
      if (event.type === "finding") rehearsed.push(event.finding.what);
    },
  });
  const { guest, guard } = all;
  const protect = guest.protect.bind(guest);
  guest.protect = (ranges, listener) => {
    const protection = protect(ranges, listener);
    if (unmapped) guest.walks = () => [{ kind: "not-present", steps: [] }];
    return { ...protection, rungs: ranges.map(() => rung) };
  };
  guard.arm();
  return { ...all, rehearsed };
}

Deno.test("at arming writes that never were are judged, and nobody is told, nor the guest stopped for good", () => {
  const { guest, told, rehearsed } = rehearse("trap");
  const names = ["kernel text", "sys_call_table", "limits"];
  assertEquals(rehearsed, [...names, ...names, ...names]);
  assertEquals(told.map(({ type }) => type), ["armed"]);
  assertEquals([guest.held, guest.pausedForAttack], [false, false]);

  // The first that is one is told, wherever it comes from
  const frame = guest.frame(TEXT);
  guest.stopped({ vcpu: 0, ip: TEXT, frame, offset: 0 });
  assertEquals(told.map(({ type }) => type), ["armed", "finding", "response"]);
});

Deno.test("writes are rehearsed where they are told, and to what is mapped", () => {
  assertEquals(rehearse("gate").rehearsed.length, 9);
  for (const rung of ["lock", "protect", "poll"] as const) {
    assertEquals(rehearse(rung).rehearsed, []);
  }
  assertEquals(rehearse("trap", true).rehearsed, []);
});

Deno.test("a stopped write that is tried again is one incident, as long as nobody lets the guest run", () => {
  const reported = armed({ response: "report" });
  for (let tries = 0; tries < 3; tries++) {
    reported.guest.stopped(stopped(reported.guest));
  }
  assertEquals(reported.guest.calls, ["finding"]);

  const { guest } = armed();
  guest.stopped(stopped(guest));
  guest.letRun();
  guest.stopped(stopped(guest));
  const once = ["pause", "finding", "response"];
  assertEquals(guest.calls, [...once, ...once]);
});

Deno.test("a stopped write to what is guarded no more lets the guest run on", () => {
  const { guest, guard } = armed();
  guest.stopped(stopped(guest, SCRATCH));
  assertEquals(guest.calls, ["pause", "unpause"]);
  guest.calls.length = 0;
  guard.disarm();
  guest.stopped(stopped(guest));
  assertEquals(guest.calls, ["unprotect"]);
});

Deno.test("a stopped write to a page-table entry pauses the guest and tells where the entry leads", () => {
  const { guest, told } = armed();
  const { steps } = guest.walk(TABLE);
  const { level, table, index, entry } = steps.at(-2)!;
  assertEquals(level, 2);
  guest.stopped({
    vcpu: 0,
    ip: TEXT + 0x14n,
    frame: table,
    offset: index * 8,
    entry: { level, address: TABLE },
  });
  assertEquals(guest.calls, ["pause", "finding", "response"]);
  const [event] = told;
  if (event?.type !== "finding") throw new Error("The first is the finding");
  const { rule, seen, drift, what, address, expected, ip, summary } =
    event.finding;
  assertEquals(
    [rule.id, seen, drift, what, address, ip],
    ["XK-003", "stop", "entry", "sys_call_table", TABLE, TEXT + 0x14n],
  );
  assertEquals(expected, littleEndian(entry));
  assertEquals(
    summary,
    "a write to the level 2 page-table entry of it was stopped before it landed",
  );
  assertEquals(guest.pausedForAttack, true);
});

Deno.test("a stopped write to an entry that leads to nothing guarded lets the guest run on", () => {
  const { guest } = armed();
  guest.stopped({
    vcpu: 0,
    ip: TEXT,
    frame: 3n,
    offset: 0,
    entry: { level: 2, address: SCRATCH },
  });
  assertEquals(guest.calls, ["pause", "unpause"]);
});

Deno.test("the way to pages is settled once the kernel is up, and changes of it that are let happen are told", () => {
  const { guest, guard, told } = setUp({ booted: false }, ["trap", "poll"]);
  const settled: unknown[] = [];
  const protect = guest.protect.bind(guest);
  guest.protect = (ranges, listener) => {
    settled.push(new Set(ranges.map(({ settled }) => settled)));
    if (settled.length === 2) listener.weakened("tables", "too many");
    return protect(ranges, listener);
  };
  guard.arm();
  guest.write(SCRATCH, [1]);
  guard.arm();
  assertEquals(settled, [new Set([false]), new Set([true])]);
  const notices = told.flatMap((event) =>
    event.type === "notice" ? [event.text] : []
  );
  assertEquals(notices, [
    "changes of page tables are not stopped, but found at the next pass: " +
    "too many",
  ]);
});

Deno.test("where writes are logged the way to pages is never settled", () => {
  const { guest, guard } = setUp({}, ["trap", "dirty", "poll"]);
  const { protect } = guest;
  let settled: boolean | undefined;
  guest.protect = (ranges, listener) => {
    settled = ranges.some((range) => range.settled === true);
    return protect.call(guest, ranges, listener);
  };
  guard.arm();
  assertEquals(settled, false);
});

/** A change of CR0 that clears its write protection, or sets it. */
function change(clears: boolean) {
  const [value, before] = clears ? [0n, WP] : [WP, 0n];
  return { vcpu: 0, ip: TEXT + 0x14n, register: "cr0", value, before } as const;
}

/** The same as `armed` with a guest whose registers can be watched. */
function watched(setting: GuardSetting = {}, only: readonly Rung[] = rungs) {
  const settings = setUp(setting, only);
  settings.guest.watchesRegisters = true;
  settings.guard.arm();
  settings.guest.calls.length = 0;
  return settings;
}

Deno.test("a register's change that weakens the kernel is denied, and pauses the guest", () => {
  const { guest, told } = watched();
  assertEquals(told[0]?.type === "armed" && told[0].registers, true);
  assertEquals(guest.registerListener!.mayChange(change(false)), true);
  assertEquals(guest.calls, []);
  assertEquals(guest.registerListener!.mayChange(change(true)), false);
  assertEquals(guest.calls, ["pause", "finding", "response"]);
  assertEquals(findings(told), [["XK-013", 0n]]);
});

Deno.test("a register's change is denied as often as it is tried, and told once", () => {
  const { guest } = watched({ response: "report" });
  for (let tries = 0; tries < 3; tries++) {
    assertEquals(guest.registerListener!.mayChange(change(true)), false);
  }
  assertEquals(guest.calls, ["finding"]);
});

Deno.test("a kernel that boots, or is guarded no more, may change its registers", () => {
  const booting = watched({ booted: false });
  assertEquals(booting.guest.registerListener!.mayChange(change(true)), true);
  const { guest, guard } = watched();
  guard.disarm();
  assertEquals(guest.registerListener!.mayChange(change(true)), true);
});

Deno.test("an operator who wants no trap has no registers watched", () => {
  const { guest } = watched({}, ["gate", "poll"]);
  assertEquals(guest.registerListener, undefined);
});

Deno.test("a full pass compares also what the guest did not write to, others do not", async () => {
  const { guest, guard } = armed();
  const full: boolean[] = [];
  for (let passes = 0; passes < 2; passes++) {
    await guard.pass();
    full.push(guest.isFull);
  }
  assertEquals(full, [true, false]);
});

Deno.test("that writes are not logged any more is told", () => {
  const { guest, told } = armed();
  guest.listener!.weakened("log", "a live migration");
  assertEquals(told, [{
    type: "notice",
    text: "everything is compared at each pass from now on: a live migration",
  }]);
});

/** A virtual CPU with its tables in the guarded kernel. */
const CPU = hvmCpu({
  idt: { base: LIMITS, limit: 0xfff },
  gdt: { base: LIMITS, limit: 0x7f },
});

/** The same as `watched` with a virtual CPU that has descriptor tables. */
function withTables(setting: GuardSetting = {}) {
  const settings = setUp(setting);
  Object.assign(settings.guest, { cpus: [CPU], watchesRegisters: true });
  settings.guard.arm();
  settings.guest.calls.length = 0;
  const load = (base: bigint) =>
    ({
      vcpu: 0,
      ip: TEXT + 0x14n,
      register: "idt",
      value: { base, limit: 0xfff },
    }) as const;
  return { ...settings, load };
}

Deno.test("another table is not loaded, which is told and pauses the guest when that is safe", () => {
  const { guest, told, load } = withTables();
  const { registerListener: registers } = guest;
  assertEquals(registers!.mayLoad(load(LIMITS)), true);
  assertEquals(registers!.mayLoad(load(TABLE)), false);
  assertEquals(guest.calls, []);
  registers!.denied(load(TABLE));
  assertEquals(guest.calls, ["pause", "finding", "response"]);
  assertEquals(findings(told), [["XK-011", TABLE]]);
});

Deno.test("a kernel that boots, or is guarded no more, may load its tables", () => {
  const booting = withTables({ booted: false });
  const { load } = booting;
  assertEquals(booting.guest.registerListener!.mayLoad(load(TABLE)), true);
  const { guest, guard } = withTables();
  guard.disarm();
  guest.calls.length = 0;
  assertEquals(guest.registerListener!.mayLoad(load(TABLE)), true);
  guest.registerListener!.denied(load(TABLE));
  guest.registerListener!.loadedUnread();
  assertEquals(guest.calls, []);
  assertEquals(guard.passes, 0);
});

Deno.test("a table of which nobody could read where it is is found by a look at once", () => {
  const { guest, guard, told } = withTables();
  Object.assign(guest, {
    cpus: [{ ...CPU, idt: { base: TABLE, limit: 0xfff } }],
  });
  guest.registerListener!.loadedUnread();
  assertEquals(guard.passes, 1);
  assertEquals(findings(told), [["XK-011", TABLE]]);
});

Deno.test("a guest that loads what nobody can read all the time is not looked at all the time", () => {
  using clock = new FakeClock();
  const { guest, guard } = withTables();
  for (let time = 0; time < 50; time++) guest.registerListener!.loadedUnread();
  assertEquals(guard.passes, 2);
  clock.pass(1000);
  guest.registerListener!.loadedUnread();
  assertEquals(guard.passes, 3);
});

Deno.test("loads that are not stopped any more are told of", () => {
  const { guest, told } = withTables();
  guest.registerListener!.weakened("registers", "the reason");
  const last = told.at(-1);
  assertEquals(
    last?.type === "notice" && last.text,
    "loads of descriptor tables are not stopped, but found at the next pass: " +
      "the reason",
  );
});

Deno.test("an error that a denied load leads to is not kept quiet", () => {
  const { guest, load } = withTables();
  guest.hold = () => {
    throw new Error("No space left on device");
  };
  assertThrows(
    () => guest.registerListener!.denied(load(TABLE)),
    Error,
    "No space left",
  );
});

Deno.test("a finding is told before a pause that cannot be noted", async () => {
  const { guest, guard, told } = armed();
  guest.pauseForAttack = () => {
    throw new Error("No space left on device");
  };
  guest.write(TABLE + 8n, [0x18]);
  await assertRejects(() => guard.pass(), Error, "No space left");
  assertEquals(findings(told), [["XK-002", TABLE + 8n]]);
  assertEquals(guest.paused, true);
  await assertRejects(
    () => guard.faults(faultPage([fault(1n)])),
    Error,
    "No space left",
  );
  assertEquals(findings(told).length, 2);
});

Deno.test("what was so at the arming, went and came again is told with its method", async () => {
  const { guest, guard, told } = setUp({ response: "report" });
  guest.write(TABLE + 8n, [0x99]);
  guard.arm();
  for (const byte of [0x99, 0x20, 0x99]) {
    guest.write(TABLE + 8n, [byte]);
    await guard.pass();
  }
  assertEquals(
    told.flatMap((event) =>
      event.type === "finding" ? [event.finding.method] : []
    ),
    [undefined, "hypercall"],
  );
});

Deno.test("a place that cannot be read is told once, until it can be read again", async () => {
  const { guest, guard, told } = armed({ booted: false });
  const entry = guest.entry(LIMITS);
  const places = () => told.filter(({ type }) => type === "unreadable").length;
  guest.unmap(LIMITS);
  await guard.pass();
  await guard.pass();
  assertEquals(places(), 1);
  assertEquals(findings(told), []);
  guest.setEntry(LIMITS, entry);
  await guard.pass();
  guest.unmap(LIMITS);
  await guard.pass();
  assertEquals(places(), 2);
});

Deno.test("an unreadable region does not hide an attack on another", async () => {
  const { guest, guard, told } = armed({ booted: false });
  guest.unmap(LIMITS);
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  assertEquals(findings(told), [["XK-002", TABLE + 8n]]);
  assertEquals(guest.paused, true);
});

Deno.test("the attack that a drift tells is named with its method", async () => {
  const { guest, guard, told } = armed({ response: "report" });
  guest.mapFrame(ELSEWHERE, guest.frame(TABLE));
  guest.write(ELSEWHERE + 8n, [0x18]);
  await guard.pass();
  assertEquals(
    told.map((event) => event.type === "finding" && event.finding.method),
    ["alias", undefined],
  );
});

Deno.test("what was changed before the arming is told as that, and not how", async () => {
  const { guest, guard, told } = setUp({ response: "report" });
  guest.write(TABLE + 8n, [0x99]);
  guard.arm();
  await guard.pass();
  const [event] = told.filter(({ type }) => type === "finding");
  assert(event?.type === "finding");
  assertEquals(event.finding.method, undefined);
  assertStringIncludes(event.finding.summary, "before xkmon armed");
});

Deno.test("a guest that was held when a look failed runs on after the disarming", async () => {
  const { guest, guard, told } = armed();
  guest.write(TABLE + 8n, [0x18]);
  let looks = 0;
  guest.beforeLook = () => {
    if (++looks === 2) throw new RangeError("The second look failed");
  };
  await assertRejects(() => guard.pass(), RangeError);
  assertEquals(guest.paused, true);
  guard.disarm();
  assertEquals(guest.paused, false);
  assertEquals(told, []);
});

Deno.test("a guest that cannot be let run is unprotected all the same", () => {
  const { guest, guard } = armed();
  guest.endHold = () => {
    throw new Error("xc_domain_unpause");
  };
  assertThrows(() => guard.disarm(), Error, "xc_domain_unpause");
  assertEquals(guest.calls, ["unprotect"]);
});

Deno.test("an error that a stopped write or change leads to is told to the owner alone", () => {
  const errors: unknown[] = [];
  const all = setUp({ failed: (error) => errors.push(error) });
  const { guest, guard } = all;
  guest.watchesRegisters = true;
  guard.arm();
  guest.hold = () => {
    throw new RangeError("xc_domain_pause");
  };
  guest.stopped({ vcpu: 0, ip: TEXT, frame: guest.frame(TABLE), offset: 8 });
  const change = { vcpu: 0, ip: TEXT, register: "cr0" } as const;
  assertEquals(
    guest.registerListener!.mayChange({ ...change, value: 0n, before: WP }),
    false,
  );
  assertEquals(errors.length, 2);
});

Deno.test("the pause after an attack outlives the disarming", async () => {
  const { guest, guard } = armed();
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  guard.disarm();
  assertEquals([guest.paused, guest.pausedForAttack], [true, true]);
});

Deno.test("disarming makes writable what arming made read-only", async () => {
  const { guest, guard } = armed();
  assertEquals(guard.disarm(), "4 are writable again");
  assertEquals(guest.entry(TABLE) & 2n, 2n);
  guest.write(TABLE + 8n, [0x18]);
  guest.calls.length = 0;
  await guard.pass();
  assertEquals(guest.calls, []);
});

/** How many regions were locked each time that the guard armed. */
function lockedRegions(told: readonly EventBody[]): number[] {
  return told.flatMap((event) =>
    event.type === "armed"
      ? [event.regions.filter(({ rung }) => rung === "lock").length]
      : []
  );
}

Deno.test("locks are taken off while the guest may suspend, and the rest stays", async () => {
  const { guest, guard, told, profile } = setUp();
  const sealable = profile.regions.filter(({ sealable }) => sealable);
  assert(sealable.length > 0 && sealable.length < profile.regions.length);
  guest.locks = true;
  guard.arm();
  assertEquals(await guard.suspendLocks(), true);
  assertEquals(await guard.suspendLocks(), false);
  await guard.resumeLocks();
  await guard.resumeLocks();
  assertEquals(lockedRegions(told), [sealable.length, 0, sealable.length]);
});

Deno.test("what could not be locked because of a request is locked when it is gone", async () => {
  const { guest, guard, told } = setUp();
  Object.assign(guest, { locks: true, asked: true });
  guard.arm();
  assertEquals(await guard.suspendLocks(), false);
  guest.asked = false;
  await guard.resumeLocks();
  assertEquals(lockedRegions(told), [0, 2]);
});

Deno.test("what a guest did before its locks are taken off is told, not trusted", async () => {
  const { guest, guard, told } = setUp({ response: "report" });
  guest.locks = true;
  guard.arm();
  guest.map(ELSEWHERE, guest.read(TABLE, 0x1000));
  guest.setEntry(TABLE, guest.entry(ELSEWHERE));
  assertEquals(await guard.suspendLocks(), true);
  assertEquals(findings(told), [["XK-003", TABLE]]);
});

Deno.test("a guest that an attack has stopped keeps its locks", async () => {
  const { guest, guard, told } = setUp({ response: "pause" });
  guest.locks = true;
  guard.arm();
  guest.write(TABLE + 8n, [0x18]);
  assertEquals(await guard.suspendLocks(), false);
  assertEquals(lockedRegions(told), [2]);
  assertEquals(guest.pausedForAttack, true);
});

Deno.test("what changes while locks are taken off was not so before the arming", async () => {
  const { guest, guard, told } = setUp({ response: "report" });
  guest.locks = true;
  guard.arm();
  const { unprotect } = guest;
  guest.unprotect = () => {
    guest.write(TABLE + 8n, [0x18]);
    return unprotect.call(guest);
  };
  await guard.suspendLocks();
  await guard.pass();
  const summaries = told.flatMap((event) =>
    event.type === "finding" ? [event.finding.summary] : []
  );
  assertEquals(summaries, [
    "pointer was redirected from sys_stop to sys_ping+0x8",
  ]);
});

Deno.test("a page that leads elsewhere once locks are off is told, not trusted", async () => {
  for (const first of ["first arming", "locks on again"]) {
    const { guest, guard, told } = setUp({ response: "report" });
    guest.locks = true;
    guard.arm();
    if (first === "locks on again") {
      await guard.suspendLocks();
      await guard.resumeLocks();
    }
    const { unprotect } = guest;
    guest.unprotect = () => {
      const text = unprotect.call(guest);
      // The same contents: the rules on contents see nothing
      guest.map(ELSEWHERE, guest.read(TABLE, 0x1000));
      guest.setEntry(TABLE, guest.entry(ELSEWHERE));
      return text;
    };
    await guard.suspendLocks();
    assertEquals(findings(told), []);
    await guard.pass();
    assertEquals(findings(told), [["XK-003", TABLE]]);
    await guard.pass();
    assertEquals(findings(told).length, 1);
  }
});

Deno.test("a kernel that says it boots, or hides a page, when locks are taken off is guarded on", async () => {
  const { guest, guard, told } = setUp({ response: "report" });
  guest.locks = true;
  guard.arm();
  guest.write(SCRATCH, [0]);
  const entry = guest.entry(LIMITS);
  const { unprotect } = guest;
  guest.unprotect = () => {
    const text = unprotect.call(guest);
    guest.unmap(LIMITS);
    return text;
  };
  await guard.suspendLocks();
  await guard.pass();
  assertEquals(lockedRegions(told), [2]);
  assert(told.some(({ type }) => type === "unreadable"));
  guest.setEntry(LIMITS, entry);
  await guard.pass();
  assertEquals([lockedRegions(told), guard.booted], [[2, 0], true]);
});

Deno.test("while a kernel boots nothing is locked", async () => {
  const { guest, guard, told } = setUp({ booted: false });
  guest.locks = true;
  guard.arm();
  const [event] = told;
  assert(event?.type === "armed");
  assert(event.regions.every(({ rung }) => rung === "protect"));
  assertEquals(await guard.suspendLocks(), false);
});
