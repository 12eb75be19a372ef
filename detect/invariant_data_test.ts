import { assertEquals } from "@std/assert";
import { InvariantData } from "./invariant_data.ts";
import {
  guardedKernel,
  LIMITS,
  SCRATCH,
  TABLE,
  TEXT,
} from "./testing/guarded_kernel.ts";
import { trustedRegions } from "./testing/trusted_regions.ts";

function setUp() {
  const kernel = guardedKernel();
  const { guest, profile } = kernel;
  const regions = trustedRegions(kernel);
  return { guest, data: new InvariantData(guest, profile.symbols, regions) };
}

function summaries(data: InvariantData): (string | undefined)[] {
  return [...data.check()].map((told) =>
    "summary" in told ? told.summary : undefined
  );
}

Deno.test("data that is as it must be gives no finding", () => {
  assertEquals([...setUp().data.check()], []);
});

Deno.test("a redirected pointer is told with both targets", () => {
  const { guest, data } = setUp();
  // Only the lowest byte of the second pointer
  guest.write(TABLE + 8n, [0x18]);
  const told = [...data.check()];
  assertEquals(told.map(({ rule, address }) => [rule.id, address]), [
    ["XK-002", TABLE + 8n],
  ]);
  assertEquals(summaries(data), [
    "pointer was redirected from sys_stop to sys_ping+0x8",
  ]);
});

Deno.test("a longer change is no pointer", () => {
  const { guest, data } = setUp();
  guest.write(LIMITS + 4n, [1, 2, 3, 4, 5, 6, 7, 8]);
  assertEquals(summaries(data), ["invariant data was changed"]);
});

Deno.test("what may change and code are not its matter", () => {
  const { guest, data } = setUp();
  guest.write(SCRATCH + 8n, [1]);
  guest.write(TEXT + 8n, [1]);
  assertEquals([...data.check()], []);
});

Deno.test("an unreadable region does not hide what changed in another", () => {
  for (const [unmapped, changed] of [[TABLE, LIMITS], [LIMITS, TABLE]]) {
    const { guest, data } = setUp();
    guest.write(changed!, [0xee]);
    guest.unmap(unmapped!);
    const told = [...data.check()];
    assertEquals(
      told.filter((told) => "summary" in told).map(({ address }) => address),
      [changed],
    );
    assertEquals(
      told.filter((told) => "reason" in told).map(({ address }) => address),
      [unmapped],
    );
  }
});
