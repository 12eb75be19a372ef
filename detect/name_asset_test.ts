import { assertEquals } from "@std/assert";
import { nameAsset } from "./name_asset.ts";
import { finding } from "./testing/finding.ts";
import { guardedKernel, TABLE } from "./testing/guarded_kernel.ts";
import { trustedRegions } from "./testing/trusted_regions.ts";

/** Rule and name of a finding in a region with two assets. */
function named(
  from: bigint,
  found?: Uint8Array,
): [string, string] {
  const [, region] = trustedRegions(guardedKernel());
  const named = nameAsset(
    finding({
      address: TABLE + from,
      what: "read-only data",
      ...found === undefined ? {} : { found },
    }),
    {
      ...region!,
      assets: [
        {
          name: "sys_call_table",
          start: TABLE + 0x100n,
          size: 0x80,
          kind: "system call dispatch",
        },
        {
          name: "idt_table",
          start: TABLE + 0x200n,
          size: 0x80,
          kind: "descriptor table",
        },
      ],
    },
  );
  return [named.rule.id, named.what];
}

Deno.test("a finding in an asset has its rule and name", () => {
  const found = new Uint8Array(8);
  assertEquals(named(0x100n, found), ["XK-006", "sys_call_table"]);
  assertEquals(named(0x178n, found), ["XK-006", "sys_call_table"]);
  assertEquals(named(0x200n, found), ["XK-011", "idt_table"]);
});

Deno.test("a finding beside an asset keeps its own", () => {
  const found = new Uint8Array(8);
  for (const at of [0n, 0xf8n, 0x180n, 0x1f8n, 0x280n]) {
    assertEquals(named(at, found), ["XK-002", "read-only data"]);
  }
});

Deno.test("a finding that reaches into an asset is one of it", () => {
  assertEquals(named(0xf8n, new Uint8Array(9)), ["XK-006", "sys_call_table"]);
  assertEquals(named(0xffn), ["XK-002", "read-only data"]);
  assertEquals(named(0x17fn), ["XK-006", "sys_call_table"]);
});

Deno.test("a region without assets has none", () => {
  const [, region] = trustedRegions(guardedKernel());
  assertEquals(nameAsset(finding(), region!), finding());
});
