import { assertEquals } from "@std/assert";
import { scanGuest } from "./scan_guest.ts";
import {
  guardedKernel,
  LIMITS,
  SCRATCH,
  TABLE,
  TEXT,
} from "./testing/guarded_kernel.ts";

Deno.test("a guest that is as its file says is clean, and left alone", async () => {
  const { guest, profile } = guardedKernel();
  assertEquals(await scanGuest(guest, profile, 0), {
    findings: [],
    unreadable: [],
    instrumentation: [],
  });
  assertEquals(guest.calls, []);
});

Deno.test("one look finds changed code, data and handlers", async () => {
  const { guest, profile } = guardedKernel();
  guest.write(TEXT + 0x1000n, [0xcc]);
  guest.write(TABLE, [0xcc]);
  guest.cpus = [{
    ...guest.cpus[0]!,
    traps: [{ vector: 14, address: TABLE, cs: 0xe033, flags: 0 }],
  }];
  const { findings } = await scanGuest(guest, profile, 0);
  assertEquals(
    findings.map(({ rule }) => rule.id),
    ["XK-001", "XK-002", "XK-004"],
  );
});

Deno.test("one look does not tell how a change was made", async () => {
  const { guest, profile } = guardedKernel();
  guest.write(TABLE, [0xcc]);
  assertEquals(
    (await scanGuest(guest, profile, 0)).findings.map((finding) =>
      "method" in finding
    ),
    [false],
  );
});

Deno.test("handlers of a kernel that says that it boots are not judged, and never clean", async () => {
  const { guest, profile } = guardedKernel(false);
  guest.cpus = [{ ...guest.cpus[0]!, traps: [] }];
  const { findings, unreadable } = await scanGuest(guest, profile, 0);
  assertEquals(findings, []);
  assertEquals(unreadable.map(({ rule }) => rule.id), ["XK-004"]);
  guest.write(SCRATCH, [1]);
  assertEquals(
    (await scanGuest(guest, profile, 0)).findings.map(({ what }) => what),
    ["handler of trap 14"],
  );
});

Deno.test("contents are judged though nobody can read whether the kernel is up", async () => {
  const { guest, profile } = guardedKernel();
  guest.unmap(SCRATCH);
  guest.write(TABLE, [0xcc]);
  const { findings, unreadable } = await scanGuest(guest, profile, 0);
  assertEquals(findings.map(({ address }) => address), [TABLE]);
  assertEquals(unreadable.map(({ address }) => address), [SCRATCH]);
});

Deno.test("an unreadable region is never clean and hides no finding", async () => {
  const { guest, profile } = guardedKernel();
  guest.unmap(LIMITS);
  guest.write(TABLE, [0xcc]);
  const { findings, unreadable } = await scanGuest(guest, profile, 0);
  assertEquals(findings.map(({ address }) => address), [TABLE]);
  assertEquals(unreadable.map(({ address }) => address), [LIMITS]);
});
