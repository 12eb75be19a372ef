import { assert, assertEquals, assertMatch } from "@std/assert";
import { bochs, Lab, linuxGuest } from "./lab/mod.ts";
import { poll } from "./lab/poll.ts";
import { startSimpleOS } from "./simpleos/guest.ts";

/** A process, by what Linux says of it. */
interface Process {
  name: string;
  parent: number;
  directory: string;
}

/** All processes, as far as they do not end meanwhile. */
async function processes(): Promise<Process[]> {
  const found: Process[] = [];
  for await (const { name: pid } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const status = await Deno.readTextFile(`/proc/${pid}/status`);
      found.push({
        name: status.match(/^Name:\t(.*)$/m)![1]!,
        parent: Number(status.match(/^PPid:\t(.*)$/m)![1]),
        directory: await Deno.readLink(`/proc/${pid}/cwd`),
      });
    } catch {
      // It has ended, or is a thread of the kernel.
    }
  }
  return found;
}

Deno.test("SIGKILL to the host's process ends Bochs and its helpers", async () => {
  // Else its limit would be spent on building Bochs
  await Lab.prepare({ emulator: bochs });
  const process = new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "-A", "tests/lab/main.ts", "--emulator", "bochs"],
      ...["--run", "sleep 1000"],
    ],
    cwd: new URL("..", import.meta.url),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  let directory = "";
  const running = async () =>
    (await processes()).filter((other) => other.directory === directory)
      .map(({ name }) => name);
  await poll(async () => {
    directory = (await processes()).find(({ name, parent }) =>
      name === "unshare" && parent === process.pid
    )?.directory ?? "";
    const names = directory ? await running() : [];
    return ["bochs", "diod", "socat"].every((name) =>
      names.includes(name)
    ) ||
      undefined;
  }, { timeoutMs: 60_000, waitingFor: () => "Bochs" });
  process.kill("SIGKILL");
  await process.status;
  await poll(async () => (await running()).length === 0 || undefined, {
    timeoutMs: 10_000,
    waitingFor: () => "the end of Bochs",
  });
  await Deno.remove(directory, { recursive: true });
});

Deno.test("in a lab on an Intel machine", async (t) => {
  const { kernel, ramdisk, config } = await linuxGuest("6.1");
  await using lab = await Lab.start({
    emulator: bochs,
    bootTimeoutMs: 240_000,
    files: [
      { from: kernel.vmlinux, to: "/boot/vmlinux" },
      { from: ramdisk, to: "/boot/initrd" },
    ],
  });

  await t.step("Xen and Dom0 are up, with VMX and EPT", async () => {
    const { stdout } = await lab.run("xl info");
    assertMatch(stdout, /^virt_caps +:.*\bhvm hap\b/m);
    const xen = (await lab.logs()).get("xen")!;
    assertMatch(xen, /Extended Page Tables \(EPT\)/);
    assertMatch(xen, /HVM: VMX enabled/);
    assertMatch(xen, /Hardware Assisted Paging \(HAP\) detected/);
  });

  await t.step("files go in and come out intact", async () => {
    const directory = await Deno.makeTempDir();
    try {
      const bytes = crypto.getRandomValues(new Uint8Array(65_536));
      const all = new Uint8Array(3_000_001).map((_, i) =>
        bytes[i % 65_536]! ^ (i >> 16)
      );
      await Deno.writeFile(`${directory}/in`, all);
      await lab.put(`${directory}/in`, "/tmp/file");
      await lab.get("/tmp/file", `${directory}/out`);
      assertEquals(await Deno.readFile(`${directory}/out`), all);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  });

  await t.step("SimpleOS runs as a PV guest", async () => {
    const simpleos = await startSimpleOS(lab);
    assertEquals(await simpleos.command("ping"), "pong");
    await simpleos.guest.destroy();
  });

  await t.step(
    "Linux runs as a PVH guest, and its writes can be trapped",
    async () => {
      const guest = await lab.createGuest({
        ...config.pvh,
        name: "pvh",
        kernel: "/boot/vmlinux",
        ramdisk: "/boot/initrd",
        // Xen keeps there what the traps need.
        shadow_memory: 32,
      });
      await guest.waitForConsole(/guest ready/, 120_000);
      const job = await lab.spawn([
        "xen-access",
        `${await guest.domid()}`,
        "write",
      ]);
      const [, address] = await job.waitForLine(
        /^PAGE ACCESS: rw- .* gla ([0-9a-f]{16}) \(valid: y/,
        120_000,
      );
      assert(BigInt(`0x${address}`) >= 0xffff800000000000n, address);
    },
  );
});
