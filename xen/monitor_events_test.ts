import { assert, assertEquals, assertThrows } from "@std/assert";
import { constants } from "./constants.ts";
import { XenError } from "./errors.ts";
import { endMonitorEvents, MonitorEvents } from "./monitor_events.ts";
import { MonitorHost } from "./testing/monitor_host.ts";
import type { VmEvent } from "./vm_event.ts";

const DOMAIN = { id: 7, maxVcpus: 2 };
const ESRCH = 3;
const EBUSY = 16;
const ENODEV = 19;
const EOPNOTSUPP = 95;
const PAUSED = constants.VM_EVENT_FLAG_VCPU_PAUSED;
const STEP = constants.VM_EVENT_FLAG_TOGGLE_SINGLESTEP;
const DENY = constants.VM_EVENT_FLAG_DENY;
const EMULATE = constants.VM_EVENT_FLAG_EMULATE;

Deno.test("the first listener that an event is for answers it", () => {
  const xen = new MonitorHost();
  using events = new MonitorEvents(xen.host, xen.loop, DOMAIN);
  const asked: string[] = [];
  const denies = {
    answer: () => {
      asked.push("denies");
      return "deny" as const;
    },
  };
  events.add({ answer: () => void asked.push("other") });
  events.add(denies);
  xen.put(0);
  xen.notify();
  events.remove(denies);
  xen.put(1);
  xen.notify();
  assertEquals(asked, ["other", "denies", "other"]);
  assertEquals(xen.answers, [[0, PAUSED | DENY], [1, PAUSED]]);
});

Deno.test("a rehearsal asks all who listen, about nobody, and answers nobody", () => {
  const xen = new MonitorHost();
  using events = new MonitorEvents(xen.host, xen.loop, DOMAIN);
  const asked: VmEvent[] = [];
  events.add({ answer: (event) => void asked.push(event) });
  events.rehearse();
  const kinds = new Set(asked.map(({ kind }) => kind));
  assertEquals([...kinds], ["memory", "step"]);
  assert(asked.every(({ vcpu }) => vcpu >= DOMAIN.maxVcpus));
  assertEquals(xen.answers, []);
  // The ring is as it was
  xen.put(1);
  xen.notify();
  assertEquals(xen.answers, [[1, PAUSED]]);
});

Deno.test("what no listener is there for goes on, and steps no more", () => {
  const xen = new MonitorHost();
  using _events = new MonitorEvents(xen.host, xen.loop, DOMAIN);
  xen.put(0, { reason: 99 });
  xen.put(1, { reason: constants.VM_EVENT_REASON_SINGLESTEP });
  // Tried again, it would only be told again
  xen.put(2, { table: constants.VM_EVENT_DESC_IDTR });
  xen.notify();
  assertEquals(xen.answers, [
    [0, PAUSED],
    [1, PAUSED | STEP],
    [2, PAUSED | EMULATE],
  ]);
});

Deno.test("the end answers what is there, tells the listeners, and leaves nobody waiting", () => {
  const xen = new MonitorHost();
  const events = new MonitorEvents(xen.host, xen.loop, DOMAIN);
  events.add({
    answer: () => "deny",
    ending: () => void xen.calls.push("ending"),
    ended: () => void xen.calls.push("ended"),
  });
  // It came after the last channel event
  xen.put(1);
  xen.calls.length = 0;
  events[Symbol.dispose]();
  assertEquals(xen.calls, ["ending", "disable", "ended", "enable", "disable"]);
  assertEquals(xen.answers, [
    [1, PAUSED | DENY],
    // What came between the last look and the ring's end
    [0, PAUSED],
    [1, PAUSED],
  ]);
});

Deno.test("events that Xen refuses to end are not answered on a page that is gone", () => {
  const xen = new MonitorHost();
  const events = new MonitorEvents(xen.host, xen.loop, DOMAIN);
  xen.refused.set("disable", EBUSY);
  assertThrows(() => events[Symbol.dispose](), XenError);
  xen.refused.clear();
  xen.put(0);
  xen.answers.length = 0;
  events[Symbol.dispose]();
  // Only those of the ring that lets go on who waits
  assertEquals(xen.answers, [[0, PAUSED], [1, PAUSED]]);
});

Deno.test("a guest that Xen takes apart gets no more ring, and nobody of it waits", () => {
  const xen = new MonitorHost();
  const events = new MonitorEvents(xen.host, xen.loop, DOMAIN);
  xen.dying = true;
  xen.refused.set("enable", EBUSY);
  events[Symbol.dispose]();
  assertEquals(xen.answers, []);
});

Deno.test("that another process listens to a guest that lives is no end of waiting", () => {
  const xen = new MonitorHost();
  const events = new MonitorEvents(xen.host, xen.loop, DOMAIN);
  xen.refused.set("enable", EBUSY);
  assertThrows(() => events[Symbol.dispose](), XenError);
});

Deno.test("the events of a dead process are ended", () => {
  const xen = new MonitorHost();
  endMonitorEvents(xen.host, DOMAIN);
  assertEquals(xen.calls, [
    "tell no tables",
    "disable",
    "end 0",
    "end 1",
    "enable",
    "disable",
  ]);
  assertEquals(xen.answers, [[0, PAUSED], [1, PAUSED]]);
});

Deno.test("the events of a dead process that had no ring yet, on a processor that cannot step, or of a guest that is gone, are nothing", () => {
  for (const error of [ENODEV, EOPNOTSUPP, ESRCH]) {
    const xen = new MonitorHost();
    for (const call of ["disable", "enable", "end 0", "end 1"]) {
      xen.refused.set(call, error);
    }
    endMonitorEvents(xen.host, DOMAIN);
    xen.refused.set("disable", 1);
    assertThrows(() => endMonitorEvents(xen.host, DOMAIN), XenError);
  }
});

Deno.test("a guest of more virtual CPUs than the ring has room for is refused", () => {
  const xen = new MonitorHost();
  assertThrows(
    () => new MonitorEvents(xen.host, xen.loop, { id: 7, maxVcpus: 8 }),
    RangeError,
    "8 virtual CPUs",
  );
  assertEquals(xen.calls, []);
});
