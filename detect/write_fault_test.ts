import { assertEquals } from "@std/assert";
import type { FaultRecord } from "../guestos/profile.ts";
import {
  guardedKernel,
  SCRATCH,
  TABLE,
  TEXT,
} from "./testing/guarded_kernel.ts";
import type { Guest } from "./guest.ts";
import { trustRegion } from "./trusted_region.ts";
import { judgeWriteFault } from "./write_fault.ts";

const { guest, profile: { symbols, regions } } = guardedKernel();
const trusted = regions.map((region) => trustRegion(guest, region));

/** A write to the second pointer of the table, from the code. */
function judge(parts: Partial<FaultRecord> = {}, of: Guest = guest) {
  return judgeWriteFault(of, symbols, trusted, {
    sequence: 1n,
    address: TABLE + 8n,
    ip: TEXT + 0x14n,
    errorCode: 3,
    cpu: 0,
    ...parts,
  });
}

Deno.test("a write to invariant data is told with who wrote", () => {
  const finding = judge()!;
  assertEquals(
    [finding.rule.id, finding.seen, finding.method, finding.what],
    ["XK-002", "fault", "direct write", "sys_call_table"],
  );
  assertEquals(
    [finding.address, finding.symbol, finding.ip, finding.ipSymbol],
    [TABLE + 8n, "sys_call_table+0x8", TEXT + 0x14n, "sys_ping+0x4"],
  );
  assertEquals(
    finding.expected,
    Uint8Array.of(0x20, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff),
  );
  assertEquals(finding.found, finding.expected);
});

Deno.test("a write to code is another rule's", () => {
  assertEquals(judge({ address: TEXT + 0x1fffn })!.rule.id, "XK-001");
});

Deno.test("a write to an asset is told under its rule and name", () => {
  const [region] = trusted.filter(({ start }) => start === TABLE);
  const asset = {
    name: "interrupt descriptor table",
    start: TABLE,
    size: 16,
    kind: "descriptor table",
  } as const;
  const finding = judgeWriteFault(
    guest,
    symbols,
    [{ ...region!, assets: [asset] }],
    { sequence: 1n, address: TABLE + 8n, ip: TEXT, errorCode: 3, cpu: 0 },
  )!;
  assertEquals([finding.rule.id, finding.what], ["XK-011", asset.name]);
});

Deno.test("addresses right before and after the regions are not judged", () => {
  assertEquals(judge({ address: TEXT - 1n }), undefined);
  assertEquals(judge({ address: SCRATCH }), undefined);
  assertEquals(judge({ address: SCRATCH - 1n })!.what, "limits");
});

Deno.test("reads and pages that are not present are the guest's own matter", () => {
  assertEquals(judge({ errorCode: 1 }), undefined);
  assertEquals(judge({ errorCode: 2 }), undefined);
  assertEquals(judge({ errorCode: 0x10 }), undefined);
  assertEquals(judge({ errorCode: 7 })!.seen, "fault");
});

Deno.test("the bytes are those of the guest, whatever its handler says", () => {
  const { guest } = guardedKernel();
  guest.write(TABLE + 8n, [0x99]);
  assertEquals(judge({}, guest)!.found?.[0], 0x99);
  assertEquals(judge({}, guest)!.expected?.[0], 0x20);
  guest.unmap(TABLE);
  const finding = judge({}, guest)!;
  assertEquals([finding.expected, finding.found], [undefined, undefined]);
});

Deno.test("another instruction at the same address is another incident", () => {
  const keys = [{}, { ip: TEXT }, { address: TABLE }, { sequence: 9n }]
    .map((parts) => judge(parts)!.key);
  assertEquals(new Set(keys.slice(0, 3)).size, 3);
  assertEquals(keys[3], keys[0]);
});
