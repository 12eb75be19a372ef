import { assertEquals, assertThrows } from "@std/assert";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import { SettledCpus } from "./settled_cpus.ts";
import { hvmCpu } from "./testing/hvm_cpu.ts";

const LIMIT = 50;

function setUp(limit = LIMIT) {
  const guest = { cpus: [hvmCpu(), hvmCpu({ vcpu: 1 })] };
  const online = new Set([0, 1]);
  const settled = new SettledCpus(guest, (vcpu) => online.has(vcpu), limit);
  const judged = () => settled.cpus.map(({ vcpu }) => vcpu);
  return { guest, online, settled, judged };
}

function afterLimit(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2 * LIMIT));
}

Deno.test("all are judged where the kernel does not tell, or says that they are up", () => {
  const { guest, judged, settled } = setUp();
  assertEquals([judged(), settled.waiting], [[0, 1], false]);
  assertEquals(new SettledCpus(guest, undefined).cpus, guest.cpus);
});

Deno.test("one that comes up is judged when it is up", () => {
  const { online, judged, settled } = setUp();
  online.delete(1);
  assertEquals([judged(), settled.waiting], [[0], true]);
  online.add(1);
  assertEquals([judged(), settled.waiting], [[0, 1], false]);
});

Deno.test("one that never comes up is judged after a while, and so it stays", async () => {
  const { online, judged } = setUp();
  online.delete(1);
  assertEquals(judged(), [0]);
  await afterLimit();
  assertEquals(judged(), [0, 1]);
  assertEquals(judged(), [0, 1]);
});

Deno.test("the time begins anew when it was up, or away", async () => {
  for (const away of [false, true]) {
    const { guest, online, judged } = setUp();
    const [, second] = guest.cpus;
    online.delete(1);
    judged();
    await afterLimit();
    if (away) guest.cpus.pop();
    else online.add(1);
    judged();
    if (away) guest.cpus.push(second!);
    online.delete(1);
    assertEquals(judged(), [0]);
  }
});

Deno.test("without a limit the kernel's word does not count", () => {
  const { online, judged, settled } = setUp(0);
  online.clear();
  assertEquals([judged(), settled.waiting], [[0, 1], false]);
});

Deno.test("a kernel that cannot be asked is no reason to judge nobody in silence", () => {
  const { guest } = setUp();
  const settled = new SettledCpus(guest, () => {
    throw new UnreadableMemoryError(0n, "not-present");
  });
  assertThrows(() => settled.cpus, UnreadableMemoryError);
});
