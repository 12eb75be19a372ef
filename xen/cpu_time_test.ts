import { assert, assertEquals } from "@std/assert";
import { cpuTime } from "./cpu_time.ts";
import * as ffi from "./ffi.ts";
import { openFirst, sonames } from "./libraries.ts";

/** Until a process that was started waits, ms */
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
    await delay(LONG);
    const before = cpuTime({ libc }, child.pid);
    assert(before > 0);
    await delay(LONG);
    assertEquals(cpuTime({ libc }, child.pid), before);
    child.kill("SIGKILL");
    await child.status;
  }
});

Deno.test("a process that is gone has none", async () => {
  const child = new Deno.Command("true").spawn();
  await child.status;
  assertEquals(cpuTime({ libc }, child.pid), 0);
});
