import { assertEquals } from "@std/assert";
import {
  DIVIDE,
  guardedKernel,
  PAGE_FAULT,
  TABLE,
  TEXT,
} from "./testing/guarded_kernel.ts";
import type { SyntheticGuest } from "./testing/synthetic_guest.ts";
import { TrapTable } from "./trap_table.ts";

function setUp() {
  const { guest, profile } = guardedKernel();
  return { guest, profile, traps: new TrapTable(guest, profile) };
}

/** Gives the first virtual CPU another handler. */
function setHandler(guest: SyntheticGuest, vector: number, address: bigint) {
  const [cpu] = guest.cpus;
  guest.cpus = [{
    ...cpu!,
    traps: [
      ...cpu!.traps.filter((trap) => trap.vector !== vector),
      ...address === 0n ? [] : [{ vector, address, cs: 0xe033, flags: 4 }],
    ],
  }];
}

Deno.test("handlers that stay as they were give no finding", () => {
  assertEquals(setUp().traps.check(), []);
});

Deno.test("a replaced handler is told with both names", () => {
  const { guest, traps } = setUp();
  setHandler(guest, 14, TABLE + 4n);
  const [finding, ...rest] = traps.check();
  assertEquals(rest, []);
  assertEquals(
    [finding!.rule.id, finding!.seen, finding!.address, finding!.what],
    ["XK-004", "drift", PAGE_FAULT, "handler of trap 14"],
  );
  assertEquals(
    finding!.summary,
    "handler of trap 14 was replaced on vCPU 0: page_fault became " +
      "sys_call_table+0x4",
  );
});

Deno.test("a handler that was replaced before the start is found by the file", () => {
  const { guest, profile } = guardedKernel();
  setHandler(guest, 14, TABLE);
  assertEquals(
    new TrapTable(guest, profile).check().map(({ what }) => what),
    ["handler of trap 14"],
  );
});

Deno.test("a handler that no file tells of is trusted at first reading", () => {
  const { guest, traps } = setUp();
  setHandler(guest, 0, DIVIDE + 1n);
  assertEquals(traps.check().map(({ what }) => what), ["handler of trap 0"]);
});

Deno.test("a handler that came or went is found", () => {
  const { guest, traps } = setUp();
  setHandler(guest, 0, 0n);
  setHandler(guest, 3, TEXT);
  assertEquals(
    traps.check().map(({ summary }) => summary),
    [
      "handler of trap 0 was replaced on vCPU 0: divide became none",
      "handler of trap 3 was replaced on vCPU 0: none became _text",
    ],
  );
});

Deno.test("another privilege or code segment of a handler is found", () => {
  for (const change of [{ flags: 3 }, { cs: 0xe02b }]) {
    const { guest, traps } = setUp();
    const [cpu] = guest.cpus;
    guest.cpus = [{
      ...cpu!,
      traps: cpu!.traps.map((trap) =>
        trap.vector === 14 ? { ...trap, ...change } : trap
      ),
    }];
    const [finding, ...rest] = traps.check();
    assertEquals(rest, []);
    assertEquals(finding!.what, "handler of trap 14");
    assertEquals(finding!.summary.includes("is called otherwise"), true);
  }
});

Deno.test("each replaced callback is found", () => {
  for (const name of ["event", "failsafe", "syscall"] as const) {
    const { guest, traps } = setUp();
    const [cpu] = guest.cpus;
    guest.cpus = [{ ...cpu!, callbacks: { ...cpu!.callbacks, [name]: TABLE } }];
    assertEquals(traps.check().map(({ what }) => what), [
      `handler of ${name === "syscall" ? "system call" : name} callback`,
    ]);
  }
});

Deno.test("a virtual CPU that comes up later has the first one's handlers", () => {
  const { guest, traps } = setUp();
  const [cpu] = guest.cpus;
  guest.cpus = [cpu!, { ...cpu!, vcpu: 1 }];
  assertEquals(traps.check(), []);
  setHandler(guest, 14, TABLE);
  guest.cpus = [cpu!, { ...guest.cpus[0]!, vcpu: 1 }];
  assertEquals(traps.check().map(({ key }) => key.split(" ")[1]), ["1"]);
});
