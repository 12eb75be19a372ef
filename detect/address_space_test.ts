import { assertEquals } from "@std/assert";
import { AddressSpace } from "./address_space.ts";
import { guardedKernel } from "./testing/guarded_kernel.ts";

Deno.test("the root page table of the start is trusted", () => {
  const { guest } = guardedKernel();
  assertEquals(new AddressSpace(guest).check(), []);
});

Deno.test("another root page table is found on the CPU that uses it", () => {
  const { guest } = guardedKernel();
  const addressSpace = new AddressSpace(guest);
  const [cpu] = guest.cpus;
  guest.cpus = [cpu!, { ...cpu!, vcpu: 1, root: 0x99n }];
  const [finding, ...rest] = addressSpace.check();
  assertEquals(rest, []);
  assertEquals(
    [finding!.rule.id, finding!.seen, finding!.address, finding!.symbol],
    ["XK-005", "drift", 0x99000n, "CR3 of vCPU 1"],
  );
  assertEquals(finding!.found, Uint8Array.of(0, 0x90, 9, 0, 0, 0, 0, 0));
});
