import { assertEquals, assertThrows } from "@std/assert";
import { constants } from "./constants.ts";
import { XenError } from "./errors.ts";
import { MonitorEvents } from "./monitor_events.ts";
import type { RegisterChange } from "./protection.ts";
import { RegisterWatch } from "./register_watch.ts";
import { MonitorHost } from "./testing/monitor_host.ts";

const DOMAIN = { id: 7, maxVcpus: 2 };
const EINVAL = 22;
const PAUSED = constants.VM_EVENT_FLAG_VCPU_PAUSED;
const DENY = constants.VM_EVENT_FLAG_DENY;
const CONTROL = { reason: constants.VM_EVENT_REASON_WRITE_CTRLREG };
const MSR = { reason: constants.VM_EVENT_REASON_MOV_TO_MSR };
const BITS = { cr0: 0x10000n, cr4: 0x300800n };

function setUp() {
  const xen = new MonitorHost();
  const asked: RegisterChange[] = [];
  const events = new MonitorEvents(xen.host, xen.loop, DOMAIN);
  new RegisterWatch(xen.host, DOMAIN.id, events, {
    bits: BITS,
    mayChange: (change) => {
      asked.push(change);
      return change.value === 2n;
    },
  });
  return { xen, events, asked };
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
  ]);
});

Deno.test("a register changes if it may, and else stays as it was", () => {
  const { xen, events, asked } = setUp();
  using _events = events;
  const ip = 0xffff_ffff_8100_1234n;
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
  using events = new MonitorEvents(xen.host, xen.loop, DOMAIN);
  assertThrows(
    () =>
      new RegisterWatch(xen.host, DOMAIN.id, events, {
        bits: BITS,
        mayChange: () => true,
      }),
    XenError,
  );
});
