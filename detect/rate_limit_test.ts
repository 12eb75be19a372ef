import { assertEquals } from "@std/assert";
import { RateLimit } from "./rate_limit.ts";

Deno.test("no more is done within any window than may be", () => {
  const limit = new RateLimit(2, 100);
  const times = [0, 50, 99, 100, 101, 150, 151];
  assertEquals(times.map((time) => limit.take(time)), [
    true,
    true,
    false,
    true,
    false,
    true,
    false,
  ]);
});
