import { assert, assertEquals } from "@std/assert";
import { Watchdog } from "./watchdog.ts";

const LIMITS = { hang: 60, busy: 200, grace: 20 };
/** More than the limit, whatever else the machine does */
const LONG = 3 * LIMITS.hang;

const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function setUp(worked = () => 0) {
  const expired: number[] = [];
  const silences: number[] = [];
  const watchdog = new Watchdog(
    worked,
    (silence) => {
      expired.push(performance.now());
      silences.push(silence);
    },
    LIMITS,
  );
  return { watchdog, expired, silences };
}

Deno.test("it expires once, when no sign has come for as long as it may", async () => {
  const { watchdog, expired, silences } = setUp();
  using _end = watchdog;
  await delay(LONG);
  assertEquals(expired, []);
  const start = performance.now();
  watchdog.sign();
  await delay(LONG);
  assertEquals(expired.length, 1);
  assert(expired[0]! - start >= LIMITS.hang - 5);
  assertEquals(silences, [LIMITS.hang]);
});

Deno.test("who works all the time may be silent for longer, but not for ever", async () => {
  let work = 0;
  const { watchdog, expired, silences } = setUp(() => work++);
  using _end = watchdog;
  const start = performance.now();
  watchdog.sign();
  while (expired.length === 0) await delay(1);
  assertEquals(silences, [LIMITS.busy]);
  assert(expired[0]! - start >= LIMITS.busy - 5);
});

Deno.test("who has worked and then stands still is not waited for as long", async () => {
  const start = performance.now();
  const { watchdog, expired } = setUp(() =>
    Math.min(performance.now() - start, LIMITS.hang)
  );
  using _end = watchdog;
  watchdog.sign();
  while (expired.length === 0) await delay(1);
  assert(expired[0]! - start < LIMITS.busy - LIMITS.grace);
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
