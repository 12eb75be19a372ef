import { assertEquals } from "@std/assert";
import { FakeClock } from "../detect/testing/fake_clock.ts";
import { GoneOn } from "./gone_on.ts";
import { hvmCpu } from "./layouts.ts";
import { IP, MonitorHost } from "./testing/monitor_host.ts";

const ESRCH = 3;

function setUp() {
  const xen = new MonitorHost();
  const done: string[] = [];
  const goneOn = new GoneOn(xen.host.control, 7);
  const goTo = (ip: bigint) => xen.cpu.setBigUint64(hvmCpu.rip, ip, true);
  return { xen, done, goneOn, goTo };
}

async function wait(duration: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, duration));
}

Deno.test("something is done when its virtual CPU has gone on, and not before", async () => {
  using _clock = new FakeClock();
  const { done, goneOn, goTo } = setUp();
  goneOn.then(0, IP, () => done.push("first"));
  await wait(10);
  assertEquals(done, []);
  goTo(IP + 4n);
  await wait(20);
  assertEquals(done, ["first"]);
});

Deno.test("a virtual CPU that comes to its next event has all done after that", async () => {
  using _clock = new FakeClock();
  const { done, goneOn, goTo } = setUp();
  goneOn.then(0, IP, () => done.push("first"));
  goTo(IP + 4n);
  goneOn.then(0, IP + 4n, () => done.push("second"));
  await wait(10);
  assertEquals(done, []);
  goTo(IP + 8n);
  await wait(20);
  assertEquals(done, ["first", "second"]);
});

Deno.test("a virtual CPU that does not go on is not waited for for long", async () => {
  using clock = new FakeClock();
  const { done, goneOn } = setUp();
  goneOn.then(0, IP, () => done.push("first"));
  clock.pass(49);
  await wait(20);
  assertEquals(done, []);
  clock.pass(1);
  await wait(20);
  assertEquals(done, ["first"]);
});

Deno.test("a virtual CPU whose guest is gone is not waited for", async () => {
  const { xen, done, goneOn } = setUp();
  xen.refused.set("cpu", ESRCH);
  goneOn.then(0, IP, () => done.push("first"));
  await wait(20);
  assertEquals(done, ["first"]);
});

Deno.test("at the end all is done at once, and once", async () => {
  const { done, goneOn, goTo } = setUp();
  goneOn.then(0, IP, () => done.push("first"));
  goneOn.then(1, IP, () => done.push("other"));
  goneOn.finish();
  assertEquals(done, ["first", "other"]);
  goTo(IP + 4n);
  await wait(10);
  assertEquals(done, ["first", "other"]);
});

Deno.test("one virtual CPU does not have any number of things kept", () => {
  const { goneOn } = setUp();
  let count = 0;
  for (let time = 0; time < 1000; time++) goneOn.then(0, IP, () => count++);
  goneOn.finish();
  assertEquals(count, 64);
});
