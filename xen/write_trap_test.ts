import { assert, assertEquals, assertThrows } from "@std/assert";
import { constants } from "./constants.ts";
import { XenError } from "./errors.ts";
import { MonitorEvents } from "./monitor_events.ts";
import type { StoppedWrite } from "./protection.ts";
import { FRAME, MonitorHost } from "./testing/monitor_host.ts";
import { openTrap, WriteTrap } from "./write_trap.ts";

const DOMAIN = { id: 7, maxVcpus: 2 };
const ESRCH = 3;
const EINVAL = 22;
const EOPNOTSUPP = 95;
const DISCARD = constants.VM_EVENT_FLAG_EMULATE |
  constants.VM_EVENT_FLAG_EMULATE_NOWRITE;
const STEP = constants.VM_EVENT_FLAG_TOGGLE_SINGLESTEP;
const STEPPED = { reason: constants.VM_EVENT_REASON_SINGLESTEP };
const PAUSED = constants.VM_EVENT_FLAG_VCPU_PAUSED;

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
  const trap = new WriteTrap(xen.host, DOMAIN.id, events, {
    stopped: (write) => void told.push(write),
    unlogged: () => {},
    pauses,
  });
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
