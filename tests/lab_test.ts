import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { Lab, linuxGuest, qemu } from "./lab/mod.ts";

async function isRunning(pid: number): Promise<boolean> {
  try {
    // A process that has ended and was not waited for yet has no command line.
    return await Deno.readTextFile(`/proc/${pid}/cmdline`) !== "";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

async function waitFor<T>(attempt: () => Promise<T | undefined>): Promise<T> {
  for (let i = 0; i < 1000; i++) {
    const result = await attempt();
    if (result !== undefined) return result;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error("20 s were not enough");
}

/** The emulator that a process has started. */
async function emulatorOf(parent: number): Promise<number | undefined> {
  for await (const task of Deno.readDir(`/proc/${parent}/task`)) {
    const path = `/proc/${parent}/task/${task.name}/children`;
    for (const pid of (await Deno.readTextFile(path)).split(" ")) {
      if (!pid) continue;
      const name = await Deno.readTextFile(`/proc/${pid}/comm`);
      if (name.startsWith("qemu-system")) return Number(pid);
    }
  }
}

Deno.test("an unknown release of Xen is refused, with the known ones", async () => {
  const error = await assertRejects(
    () => Lab.start({ xen: "3.0" }),
    RangeError,
  );
  assertMatch(error.message, /Xen 3\.0.*4\.17/);
});

Deno.test("an emulator that does not start is an error with its words", async () => {
  const emulator = {
    ...qemu,
    command: () => ["sh", "-c", "echo no >&2; exit 7"],
  };
  const error = await assertRejects(() => Lab.start({ emulator }), Error);
  assertMatch(error.message, /the emulator ended with status 7.*no/s);
});

Deno.test("a Xen that gives up is an error with its console", async () => {
  const error = await assertRejects(
    () => Lab.start({ dom0MemoryMiB: 8 }),
    Error,
  );
  assertMatch(error.message, /the emulator ended.*allocation is too small/s);
});

Deno.test("a Dom0 that does not come up is an error with Xen's console", async () => {
  const error = await assertRejects(
    () => Lab.start({ bootTimeoutMs: 3000 }),
    Deno.errors.TimedOut,
  );
  assertMatch(error.message, /3000 ms.*Dom0.*end of the Xen console.*\(XEN\)/s);
});

Deno.test("in a lab", async (t) => {
  await using lab = await Lab.start();

  await t.step("Xen and Dom0 are up", async () => {
    const { stdout } = await lab.run("xl info");
    assertMatch(stdout, /^xen_version +: 4\.17\./m);
    assertMatch((await lab.logs()).get("xen")!, /\(XEN\) Xen version 4\.17/);
  });

  await t.step("a failing command is an error that tells why", async () => {
    const error = await assertRejects(
      () => lab.run("echo why >&2; exit 3"),
      Error,
    );
    assertMatch(error.message, /exit status 3.*why/s);
    assertEquals((await lab.run("exit 3", { check: false })).code, 3);
    assertEquals((await lab.run("kill -9 $$", { check: false })).code, 137);
  });

  await t.step("bytes and words arrive as they were sent", async () => {
    const bytes = new Uint8Array(100_000).map((_, i) => i * 7 + (i >> 8));
    assertEquals((await lab.run("cat", { stdin: bytes })).bytes, bytes);
    const words = ["", "a b", "'", '"', "$x\n`", "\\", "é"];
    const { stdout } = await lab.run(["printf", "<%s>", ...words]);
    assertEquals(stdout, words.map((word) => `<${word}>`).join(""));
  });

  await t.step("commands run side by side", async () => {
    // Each waits for a file that the next one makes.
    const numbers = [0, 1, 2, 3, 4, 5, 6, 7];
    const results = await Promise.all(numbers.map((n) =>
      lab.run(
        `touch /tmp/${n}; until [ -e /tmp/${(n + 1) % 8} ]; do sleep 0.05; done
         echo ${n}; echo ${n} >&2; exit ${n}`,
        { check: false },
      )
    ));
    assertEquals(results.map(({ code }) => code), numbers);
    assertEquals(
      results.map(({ stdout }) => stdout),
      numbers.map((n) => `${n}\n`),
    );
    assertEquals(
      results.map(({ stderr }) => stderr),
      numbers.map((n) => `${n}\n`),
    );
  });

  await t.step(
    "a command that takes too long is killed, with its words",
    async () => {
      const error = await assertRejects(
        () => lab.run("echo busy; sleep 1234", { timeoutMs: 1000 }),
        Deno.errors.TimedOut,
      );
      assertMatch(error.message, /1000 ms.*sleep 1234.*busy/s);
      await lab.run("while pgrep -f '^sleep 1234'; do sleep 0.1; done");
    },
  );

  await t.step("a job can be watched, signalled and waited for", async () => {
    const job = await lab.spawn(
      "trap 'echo got it; exit 5' TERM; echo up; while :; do sleep 0.1; done",
    );
    await job.waitForLine(/^up$/);
    assertEquals(
      (await lab.run(`readlink /proc/${job.pid}/exe`)).stdout,
      "/usr/bin/busybox\n",
    );
    await assertRejects(
      () => job.waitForLine(/never/, 100),
      Deno.errors.TimedOut,
    );
    assertEquals(job.code, undefined);
    await job.signal("SIGTERM");
    assertEquals((await job.wait()).code, 5);
    assertEquals(await Array.fromAsync(job.lines()), ["up", "got it"]);
    await assertRejects(() => job.waitForLine(/never/), Error, "ended with 5");
  });

  await t.step("files go in and out, even over a running program", async () => {
    const directory = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${directory}/a`, "#!/bin/sh\necho one\n");
      await lab.put(`${directory}/a`, "/new/place/prog ram", 0o755);
      assertEquals((await lab.run(["/new/place/prog ram"])).stdout, "one\n");
      await lab.run("cp /usr/bin/busybox /tmp/sleep");
      const job = await lab.spawn(["/tmp/sleep", "1000"]);
      await lab.put(`${directory}/a`, "/tmp/sleep", 0o755);
      assertEquals((await lab.run(["/tmp/sleep"])).stdout, "one\n");
      await job.signal("SIGKILL");
      assertEquals((await job.wait()).code, 137);
      await lab.get("/tmp/sleep", `${directory}/b`);
      assertEquals(
        await Deno.readTextFile(`${directory}/b`),
        "#!/bin/sh\necho one\n",
      );
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });

  await t.step(
    "a guest is created, paused, rebooted, shut down, destroyed",
    async () => {
      const { kernel, ramdisk } = await linuxGuest();
      await lab.put(kernel.vmlinux, "/guest/vmlinux");
      await lab.put(ramdisk, "/guest/cpio");
      const config = {
        name: "small",
        kernel: "/guest/vmlinux",
        ramdisk: "/guest/cpio",
        memory: 128,
        extra: "console=hvc0 quiet",
        on_reboot: "restart",
      };
      const guest = await lab.createGuest(config, { paused: true });
      assertMatch((await guest.state())!, /^..p/);
      assertEquals(await guest.console(), "");
      await guest.unpause();
      await guest.waitForConsole(/guest ready/);
      const domid = await guest.domid();
      await guest.pause();
      assertMatch((await guest.state())!, /^..p/);
      await guest.unpause();
      await guest.xenstoreWrite("data/hello", "a b");
      assertEquals(await guest.xenstoreRead("data/hello"), "a b");
      assertEquals(await guest.xenstoreRead("data/nothing"), undefined);

      await lab.run(["xl", "reboot", "small"]);
      await guest.waitForConsole(/guest ready[^]*guest ready/);
      assert(await guest.domid() > domid);
      const error = await assertRejects(
        () => guest.waitForConsole(/never/, 100),
        Deno.errors.TimedOut,
      );
      assertStringIncludes(error.message, "guest ready");
      assertStringIncludes(
        (await lab.logs()).get("xl-small")!,
        "Waiting for domain small",
      );
      await guest.shutdown();
      assertEquals(await guest.state(), undefined);

      const again = await lab.createGuest(config, { paused: true });
      assertEquals(await again.console(), "");
      await again.destroy();
      await again.waitForState((state) => state === undefined);
    },
  );

  await t.step(
    "a second lab runs beside the first, and ends when a test throws",
    async () => {
      let pid = 0;
      await assertRejects(
        async () => {
          await using second = await Lab.start({
            memoryMiB: 1280,
            dom0MemoryMiB: 512,
          });
          pid = second.pid;
          assertEquals((await second.run("echo 2")).stdout, "2\n");
          assertEquals((await lab.run("echo 1")).stdout, "1\n");
          assert(await isRunning(pid));
          throw new Error("as a failing test does");
        },
        Error,
        "as a failing test does",
      );
      assertEquals(await isRunning(pid), false);
      assertEquals((await lab.run("echo 1")).stdout, "1\n");
    },
  );

  await t.step(
    "a Dom0 that dies fails what waits for it, with Xen's console",
    async () => {
      const error = await assertRejects(
        () =>
          lab.run("echo c >/proc/sysrq-trigger; sleep 1000", {
            timeoutMs: 30_000,
          }),
        Error,
      );
      assertMatch(error.message, /emulator ended.*Dom0 crashed/is);
    },
  );
});

for (
  const [signal, status] of [
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGKILL", 137],
  ] as const
) {
  Deno.test(`${signal} to the host's process ends the emulator`, async () => {
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "tests/lab/main.ts", "--run", "sleep 1000"],
      cwd: new URL("..", import.meta.url),
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const emulator = await waitFor(() => emulatorOf(process.pid));
    const directory = await Deno.readLink(`/proc/${emulator}/cwd`);
    process.kill(signal);
    const { code } = await process.status;
    assertEquals(code, status);
    await waitFor(async () => !await isRunning(emulator) || undefined);
    if (signal === "SIGKILL") await Deno.remove(directory, { recursive: true });
    await assertRejects(() => Deno.stat(directory), Deno.errors.NotFound);
  });
}
