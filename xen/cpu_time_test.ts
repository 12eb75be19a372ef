import { assert, assertEquals } from "@std/assert";
import { cpuTime } from "./cpu_time.ts";
import * as ffi from "./ffi.ts";
import { openFirst, sonames } from "./libraries.ts";

/** Beside what a process takes to start, ms */
const LONG = 200;

const libc = openFirst(sonames.libc, ffi.libc);

const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

Deno.test("a process that computes has ever more time on processors", () => {
  const before = cpuTime({ libc }, Deno.pid);
  const end = performance.now() + LONG;
  while (performance.now() < end);
  const time = cpuTime({ libc }, Deno.pid) - before;
  assert(time > 0 && time < 10_000, `${time}`);
});

Deno.test("a process that waits or was stopped has not", async () => {
  for (const script of ["exec sleep 1000", "kill -STOP $$; exec sleep 1000"]) {
    const child = new Deno.Command("sh", { args: ["-c", script] }).spawn();
    try {
      const time = () => cpuTime({ libc }, child.pid);
      // Until it does so
      for (let before = -1; before !== time(); await delay(LONG)) {
        before = time();
      }
      const before = time();
      assert(before > 0);
      await delay(LONG);
      assertEquals(time(), before);
    } finally {
      child.kill("SIGKILL");
      await child.status;
    }
  }
});

Deno.test("a process that is gone has none", async () => {
  const child = new Deno.Command("true").spawn();
  await child.status;
  assertEquals(cpuTime({ libc }, child.pid), 0);
});
