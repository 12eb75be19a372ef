import { assertEquals, assertThrows } from "@std/assert";
import { FakeClock } from "../detect/testing/fake_clock.ts";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import { constants } from "./constants.ts";
import { XenError } from "./errors.ts";
import { hvmCpu } from "./layouts.ts";
import { MonitorEvents } from "./monitor_events.ts";
import type { RegisterChange, TableLoad } from "./protection.ts";
import { RegisterWatch } from "./register_watch.ts";

import { IP, MonitorHost } from "./testing/monitor_host.ts";

const DOMAIN = { id: 7, maxVcpus: 2 };
const ESRCH = 3;
const EINVAL = 22;
const PAUSED = constants.VM_EVENT_FLAG_VCPU_PAUSED;
const DENY = constants.VM_EVENT_FLAG_DENY;
const CONTROL = { reason: constants.VM_EVENT_REASON_WRITE_CTRLREG };
const MSR = { reason: constants.VM_EVENT_REASON_MOV_TO_MSR };
const BITS = { cr0: 0x10000n, cr4: 0x300800n };

const EOPNOTSUPP = 95;
const EMULATE = constants.VM_EVENT_FLAG_EMULATE;
const SET = constants.VM_EVENT_FLAG_SET_REGISTERS;
const { VM_EVENT_DESC_IDTR, VM_EVENT_DESC_GDTR, VM_EVENT_DESC_LDTR } =
  constants;
/** lidt (%rdx) and lgdt (%rdx), and what they load */
const LIDT = [0x0f, 0x01, 0x1a];
const LGDT = [0x0f, 0x01, 0x12];
/** sidt (%rdx) */
const SIDT = [0x0f, 0x01, 0x0a];
const OPERAND = 0xffff_c900_0000_4000n;
const LIMIT = 0xfff;
const OWN = 0xffff_fe00_0000_0000n;
const ROGUE = 0xffff_8880_0000_1000n;

function setUp(xen = new MonitorHost()) {
  const asked: RegisterChange[] = [];
  const loads: TableLoad[] = [];
  const told: (TableLoad | string)[] = [];
  const memory = { code: LIDT, base: OWN, limit: LIMIT, readable: true };
  xen.cpu.setBigUint64(hvmCpu.rdx, OPERAND, true);
  xen.cpu.setBigUint64(hvmCpu.msr_efer, 0xd01n, true);
  xen.cpu.setUint32(hvmCpu.cs_arbytes, 0xa9b, true);
  for (
    const [base, limit] of [
      [hvmCpu.idtr_base, hvmCpu.idtr_limit],
      [hvmCpu.gdtr_base, hvmCpu.gdtr_limit],
    ] as const
  ) {
    xen.cpu.setBigUint64(base, OWN, true);
    xen.cpu.setUint32(limit, LIMIT, true);
  }
  const read = (_root: bigint, address: bigint, length: number) => {
    if (!memory.readable) throw new UnreadableMemoryError(address, "no-frame");
    const bytes = new DataView(new ArrayBuffer(length));
    if (address === IP) new Uint8Array(bytes.buffer).set(memory.code);
    else {
      assertEquals(address, OPERAND);
      bytes.setUint16(0, memory.limit, true);
      bytes.setBigUint64(2, memory.base, true);
    }
    return new Uint8Array(bytes.buffer);
  };
  const events = new MonitorEvents(xen.host, xen.loop, DOMAIN);
  new RegisterWatch(xen.host, DOMAIN.id, events, {
    bits: BITS,
    mayChange: (change) => {
      asked.push(change);
      return change.value === 2n;
    },
    mayLoad: (load) => {
      loads.push(load);
      return load.value.base !== ROGUE;
    },
    denied: (load) => told.push(load),
    loadedUnread: () => told.push("unread"),
    weakened: (_, reason) => told.push(reason),
  }, read);
  /** A virtual CPU accesses a descriptor table register. */
  const access = (table: number, writes = true) => {
    xen.put(1, { table, writes });
    xen.notify();
  };
  return { xen, events, asked, loads, told, memory, access };
}

/** Longer than a virtual CPU is waited for. */
async function waitForAll(): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 150));
}

Deno.test("only changes that matter are asked for, and can be denied", () => {
  const { xen, events } = setUp();
  using _events = events;
  assertEquals(xen.calls, [
    "enable",
    "control values",
    "tell cr0 10000",
    "tell cr4 300800",
    "tell 176",
    "tell c0000082",
    "tell c0000083",
    "tell tables",
  ]);
});

Deno.test("a register changes if it may, and else stays as it was", () => {
  const { xen, events, asked } = setUp();
  using _events = events;
  const ip = IP;
  const expected = [
    [CONTROL, 0, "cr0"],
    [CONTROL, 2, "cr4"],
    [MSR, 0x176, "sysenterIp"],
    [MSR, 0xc000_0082, "lstar"],
    [MSR, 0xc000_0083, "cstar"],
  ] as const;
  for (const [reason, index] of expected) {
    for (const value of [2n, 3n]) {
      xen.put(1, { ...reason, register: { index, value, before: 1n } });
      xen.notify();
    }
  }
  assertEquals(
    asked,
    expected.flatMap(([, , register]) =>
      [2n, 3n].map((value) => ({ vcpu: 1, ip, register, value, before: 1n }))
    ),
  );
  assertEquals(
    xen.answers,
    expected.flatMap(() => [[1, PAUSED], [1, PAUSED | DENY]]),
  );
});

Deno.test("what is not watched is not asked about", () => {
  const { xen, events, asked } = setUp();
  using _events = events;
  const register = { value: 3n, before: 1n };
  xen.put(0, { ...CONTROL, register: { ...register, index: 1 } });
  xen.put(0, { ...MSR, register: { ...register, index: 0xc000_0080 } });
  xen.put(0);
  xen.notify();
  assertEquals(asked, []);
  assertEquals(xen.answers, [[0, PAUSED], [0, PAUSED], [0, PAUSED]]);
});

Deno.test("what Xen refuses is told by its error", () => {
  const xen = new MonitorHost();
  xen.refused.set("tell c0000082", EINVAL);
  assertThrows(() => setUp(xen), XenError);
});

Deno.test("the load of a table is passed over if it may not happen, and told when its CPU has gone on", async () => {
  const { xen, events, loads, told, memory, access } = setUp();
  using _events = events;
  memory.base = ROGUE;
  access(VM_EVENT_DESC_IDTR);
  const value = { base: ROGUE, limit: LIMIT };
  const load = { vcpu: 1, ip: IP, register: "idt", value } as const;
  assertEquals(loads, [load]);
  assertEquals(xen.answers, [[1, PAUSED | SET]]);
  assertEquals(xen.ips, [IP + 3n]);
  assertEquals(told, []);
  xen.cpu.setBigUint64(hvmCpu.rip, IP + 3n, true);
  await waitForAll();
  assertEquals(told, [load]);
});

Deno.test("a table that may be loaded is", async () => {
  const { xen, events, loads, told, memory, access } = setUp();
  using _events = events;
  memory.code = LGDT;
  memory.limit = 0x7f;
  access(VM_EVENT_DESC_GDTR);
  assertEquals(loads.map(({ register }) => register), ["gdt"]);
  assertEquals(xen.answers, [[1, PAUSED | EMULATE]]);
  await waitForAll();
  assertEquals(told, []);
});

Deno.test("the load of the table that the CPU has is passed over, whatever it might become", () => {
  const { xen, events, loads, memory, access } = setUp();
  using _events = events;
  access(VM_EVENT_DESC_IDTR);
  memory.code = LGDT;
  access(VM_EVENT_DESC_GDTR);
  assertEquals(loads, []);
  assertEquals(xen.answers, [[1, PAUSED | SET], [1, PAUSED | SET]]);
});

Deno.test("a load that nobody can read happens, and has the guest looked at", async () => {
  const { xen, events, loads, told, memory, access } = setUp();
  using _events = events;
  memory.readable = false;
  access(VM_EVENT_DESC_IDTR);
  access(VM_EVENT_DESC_GDTR);
  assertEquals(xen.answers, [[1, PAUSED | EMULATE], [1, PAUSED | EMULATE]]);
  await waitForAll();
  assertEquals(loads, []);
  assertEquals(told, ["unread", "unread"]);
});

Deno.test("what reads a register, or uses another one, happens unasked", () => {
  const { xen, events, loads, memory, access } = setUp();
  using _events = events;
  memory.code = SIDT;
  access(VM_EVENT_DESC_IDTR, false);
  access(VM_EVENT_DESC_LDTR);
  assertEquals(loads, []);
  assertEquals(xen.answers, [[1, PAUSED | EMULATE], [1, PAUSED | EMULATE]]);
});

Deno.test("a process that reads such registers without end is not asked about for long", () => {
  using _clock = new FakeClock();
  const { xen, events, told, memory, access } = setUp();
  memory.code = SIDT;
  for (let time = 0; time < 50; time++) access(VM_EVENT_DESC_IDTR, false);
  assertEquals(told, []);
  assertEquals(xen.calls.includes("tell no tables"), false);
  for (let time = 0; time < 3; time++) access(VM_EVENT_DESC_IDTR, false);
  assertEquals(told, [
    "the guest used such registers more than 50 times within 10 s",
  ]);
  assertEquals(
    xen.calls.filter((call) => call === "tell no tables").length,
    1,
  );
  assertEquals(xen.answers.at(-1), [1, PAUSED | EMULATE]);
  events[Symbol.dispose]();
});

Deno.test("a kernel that loads what nobody can read without end is not looked at for long", () => {
  using _clock = new FakeClock();
  const { xen, events, memory, access } = setUp();
  memory.readable = false;
  for (let time = 0; time < 50; time++) access(VM_EVENT_DESC_IDTR);
  assertEquals(xen.calls.includes("tell no tables"), false);
  access(VM_EVENT_DESC_IDTR);
  assertEquals(xen.calls.includes("tell no tables"), true);
  events[Symbol.dispose]();
});

Deno.test("a process that reads such registers now and then is no trouble", () => {
  using clock = new FakeClock();
  const { events, told, memory, access } = setUp();
  using _events = events;
  memory.code = SIDT;
  for (let time = 0; time < 200; time++) {
    access(VM_EVENT_DESC_IDTR, false);
    clock.pass(250);
  }
  assertEquals(told, []);
});

Deno.test("a processor that does not tell of tables has its other registers watched", () => {
  const xen = new MonitorHost();
  xen.refused.set("tell tables", EOPNOTSUPP);
  const { events, told, asked } = setUp(xen);
  using _events = events;
  assertEquals(told, ["the processor does not tell of them"]);
  const register = { index: 0, value: 3n, before: 1n };
  xen.put(0, { ...CONTROL, register });
  xen.notify();
  assertEquals(asked.length, 1);
});

Deno.test("with the events the processor stops telling of tables, and what waits is told", () => {
  const { xen, events, told, memory, access } = setUp();
  memory.base = ROGUE;
  access(VM_EVENT_DESC_IDTR);
  xen.calls.length = 0;
  events[Symbol.dispose]();
  assertEquals(xen.calls, ["tell no tables", "disable", "enable", "disable"]);
  assertEquals(told.length, 1);
});

Deno.test("what the instruction loads counts, whatever the processor says of it", () => {
  const { xen, events, loads, memory, access } = setUp();
  using _events = events;
  memory.base = ROGUE;
  access(VM_EVENT_DESC_LDTR, false);
  memory.code = LGDT;
  access(VM_EVENT_DESC_IDTR);
  assertEquals(loads.map(({ register }) => register), ["idt", "gdt"]);
  assertEquals(xen.answers, [[1, PAUSED | SET], [1, PAUSED | SET]]);
});

Deno.test("the last event of a guest that is gone is answered without its state", () => {
  const { xen, events, access } = setUp();
  using _events = events;
  xen.refused.set("cpu", ESRCH);
  access(VM_EVENT_DESC_IDTR);
  assertEquals(xen.answers, [[1, PAUSED | EMULATE]]);
});
