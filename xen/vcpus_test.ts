import { assertEquals } from "@std/assert";
import { domainById } from "./domains.ts";
import { fakeControl } from "./testing/fake_control.ts";
import { fakeStore } from "./testing/fake_store.ts";
import { listVcpus } from "./vcpus.ts";

/** A raw `xc_vcpuinfo_t`. */
function raw(
  online: number,
  blocked: number,
  running: number,
  cpuTime = 0n,
  cpu = 0,
): DataView<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(24));
  view.setUint8(4, online);
  view.setUint8(5, blocked);
  view.setUint8(6, running);
  view.setBigUint64(8, cpuTime, true);
  view.setUint32(16, cpu, true);
  return view;
}

Deno.test("each virtual CPU is told with its state, place and time", () => {
  const control = fakeControl([{ id: 5, maxVcpuId: 3 }], [
    raw(1, 0, 1, 1_234_567_890_123n, 7),
    raw(1, 1, 0),
    raw(1, 0, 0),
    raw(0, 0, 0),
  ]);
  const domain = domainById(control, fakeStore({}), 5)!;
  assertEquals(listVcpus(control, domain), [
    { vcpu: 0, state: "running", cpu: 7, cpuTime: 1_234_567_890_123n },
    { vcpu: 1, state: "blocked", cpu: 0, cpuTime: 0n },
    { vcpu: 2, state: "runnable", cpu: 0, cpuTime: 0n },
    { vcpu: 3, state: "offline", cpu: 0, cpuTime: 0n },
  ]);
});
