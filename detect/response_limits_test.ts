import { assertEquals } from "@std/assert";
import { ResponseLimits } from "./response_limits.ts";

const MINUTE = 60_000;

Deno.test("evidence is kept once a minute, and eight times in all", () => {
  const limits = new ResponseLimits();
  assertEquals(limits.refuseDump(0), undefined);
  assertEquals(limits.refuseDump(MINUTE - 1), "it is kept once a minute");
  for (let kept = 1; kept < 8; kept++) {
    assertEquals(limits.refuseDump(kept * MINUTE), undefined);
  }
  assertEquals(limits.refuseDump(100 * MINUTE), "it was kept 8 times already");
});
