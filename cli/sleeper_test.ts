import { assert, assertEquals } from "@std/assert";
import { Sleeper } from "./sleeper.ts";

const LONG = 60_000;

Deno.test("a wait is as long as was asked for", async () => {
  using sleeper = new Sleeper(new AbortController().signal);
  for (let round = 0; round < 2; round++) {
    const start = performance.now();
    await sleeper.sleep(30);
    assert(performance.now() - start >= 25);
  }
});

Deno.test("the signal ends a wait that is under way, and each one after it", async () => {
  const controller = new AbortController();
  using sleeper = new Sleeper(controller.signal);
  const start = performance.now();
  const wait = sleeper.sleep(LONG);
  controller.abort();
  await wait;
  await sleeper.sleep(LONG);
  assert(performance.now() - start < LONG / 2);
});

Deno.test("nothing listens to the signal after the end", () => {
  const { signal } = new AbortController();
  let listeners = 0;
  const { addEventListener, removeEventListener } = signal;
  signal.addEventListener = (...args: unknown[]) => {
    listeners++;
    Reflect.apply(addEventListener, signal, args);
  };
  signal.removeEventListener = (...args: unknown[]) => {
    listeners--;
    Reflect.apply(removeEventListener, signal, args);
  };
  {
    using _sleeper = new Sleeper(signal);
    assertEquals(listeners, 1);
  }
  assertEquals(listeners, 0);
});
