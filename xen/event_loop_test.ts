import { assert, assertEquals, assertRejects } from "@std/assert";
import { EventLoop } from "./event_loop.ts";
import { libc } from "./ffi.ts";
import { type Libraries, openFirst, sonames } from "./libraries.ts";

const libraries = { libc: openFirst(sonames.libc, libc) } as Libraries;
const { eventfd, eventfd_read, eventfd_write, close } = libraries.libc.symbols;
const LIMIT_MS = 5_000;

/** A descriptor that becomes readable when it is told. */
function signal() {
  const fd = eventfd(0, 0);
  return {
    fd,
    fire: () => eventfd_write(fd, 1n),
    drain: () => eventfd_read(fd, new Uint8Array(8)),
    [Symbol.dispose]: () => void close(fd),
  };
}

/** Waits, but not for ever. */
async function within<T>(promise: Promise<T>): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error("Too late")), LIMIT_MS);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

Deno.test("each readable descriptor calls back, others do not", async () => {
  using loop = new EventLoop(libraries);
  using one = signal();
  using two = signal();
  const fired: string[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  loop.add(one.fd, () => {
    one.drain();
    fired.push("one");
    if (fired.length < 3) one.fire();
    else resolve();
  });
  loop.add(two.fd, () => fired.push("two"));
  const running = loop.run();
  one.fire();
  await within(promise);
  await within(loop.stop());
  await within(running);
  assertEquals(fired, ["one", "one", "one"]);
});

Deno.test("a descriptor that was added later is heard, one that was removed is not", async () => {
  using loop = new EventLoop(libraries);
  using removed = signal();
  using later = signal();
  const { promise, resolve } = Promise.withResolvers<void>();
  let calls = 0;
  loop.add(removed.fd, () => calls++);
  loop.run();
  loop.remove(removed.fd);
  removed.fire();
  loop.add(later.fd, () => {
    later.drain();
    resolve();
  });
  later.fire();
  await within(promise);
  await within(loop.stop());
  assertEquals(calls, 0);
});

Deno.test("JavaScript goes on while the loop waits, and stopping ends the wait", async () => {
  using loop = new EventLoop(libraries);
  const running = loop.run();
  await new Promise((resolve) => setTimeout(resolve, 10));
  await within(loop.stop());
  await within(running);
});

Deno.test("what a callback throws ends the loop", async () => {
  using loop = new EventLoop(libraries);
  using broken = signal();
  loop.add(broken.fd, () => {
    throw new RangeError("a mistake");
  });
  broken.fire();
  await within(assertRejects(() => loop.run(), RangeError, "a mistake"));
});

Deno.test("a descriptor that is readable all the time leaves time for timers and promises", async () => {
  using loop = new EventLoop(libraries);
  using busy = signal();
  let calls = 0;
  let promised = 0;
  loop.add(busy.fd, () => {
    if (calls++ === promised) Promise.resolve().then(() => promised++);
  });
  loop.run();
  busy.fire();
  for (let turn = 0; turn < 3; turn++) {
    const before = calls;
    await within(new Promise((resolve) => setTimeout(resolve, 10)));
    assert(calls > before + 1);
  }
  assert(promised > calls / 2, `${promised} of ${calls}`);
  await within(loop.stop());
});

Deno.test("a descriptor that is added or removed by a callback counts at once", async () => {
  using loop = new EventLoop(libraries);
  using first = signal();
  using second = signal();
  const { promise, resolve } = Promise.withResolvers<void>();
  let calls = 0;
  loop.add(first.fd, () => {
    calls++;
    loop.remove(first.fd);
    loop.add(second.fd, () => {
      second.drain();
      resolve();
    });
    second.fire();
  });
  loop.run();
  first.fire();
  await within(promise);
  assertEquals(calls, 1);
  await within(loop.stop());
});
