import { assert, assertEquals } from "@std/assert";
import { Watchdog } from "./watchdog.ts";

const LIMIT = 60;
const GRACE = 20;
/** More than the limit, whatever else the machine does */
const LONG = 3 * LIMIT;

const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function setUp() {
  const expired: number[] = [];
  const watchdog = new Watchdog(
    () => expired.push(performance.now()),
    LIMIT,
    GRACE,
  );
  return { watchdog, expired };
}

Deno.test("it expires once, when no sign has come for as long as it may", async () => {
  const { watchdog, expired } = setUp();
  using _end = watchdog;
  await delay(LONG);
  assertEquals(expired, []);
  const start = performance.now();
  watchdog.sign();
  await delay(LONG);
  assertEquals(expired.length, 1);
  assert(expired[0]! - start >= LIMIT - 5);
});

Deno.test("after a rest or its end no sign has to come", async () => {
  const { watchdog, expired } = setUp();
  watchdog.sign();
  watchdog.rest();
  await delay(LONG);
  {
    using _end = watchdog;
    watchdog.sign();
  }
  await delay(LONG);
  assertEquals(expired, []);
});

Deno.test("a host that stood still gives the sign that is due its time", async () => {
  const { watchdog, expired } = setUp();
  using _end = watchdog;
  watchdog.sign();
  const end = performance.now() + LONG;
  while (performance.now() < end);
  // As it comes late with everything else
  await delay(1);
  watchdog.rest();
  await delay(LONG);
  assertEquals(expired, []);
});
