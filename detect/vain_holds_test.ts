import { assertEquals } from "@std/assert";
import { VainHolds } from "./vain_holds.ts";

Deno.test("after 20 pauses in vain there are none for a minute", () => {
  const holds = new VainHolds();
  for (let count = 0; count < 20; count++) {
    assertEquals(holds.mayHold(count * 100), true);
    assertEquals(holds.add(count * 100), undefined);
  }
  assertEquals(holds.mayHold(2000), true);
  assertEquals(typeof holds.add(2000), "string");
  assertEquals(holds.mayHold(2000), false);
  assertEquals(holds.mayHold(61_999), false);
  assertEquals(holds.mayHold(62_000), true);
});

Deno.test("pauses in vain that are rare stop no others", () => {
  const holds = new VainHolds();
  for (let count = 0; count < 100; count++) {
    assertEquals(holds.add(count * 3001), undefined);
    assertEquals(holds.mayHold(count * 3001), true);
  }
});
