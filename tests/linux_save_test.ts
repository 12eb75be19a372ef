import { assert, assertEquals, assertNotEquals } from "@std/assert";
import {
  bochs,
  type Guest,
  type Lab,
  type LabConfig,
  linuxGuest,
} from "./lab/mod.ts";
import { poll } from "./lab/poll.ts";
import { LONG } from "./support/long.ts";
import { Monitor } from "./support/monitor.ts";
import { startLab } from "./support/start_lab.ts";

/** A profile is made in it, ms */
const ARM_LIMIT = 300_000;
/** In the emulator all takes its time, ms */
const LIMIT = 300_000;
const IMAGE = "/root/saved";
const KERNEL = "/boot/vmlinuz";
const RAMDISK = "/boot/initrd";

type GuestType = "pv" | "pvh";

/** A lab for Linux guests, which has room for one more while one moves. */
async function linuxLab(config: LabConfig = {}): Promise<Lab> {
  const { kernel, ramdisk } = await linuxGuest("6.1");
  return await startLab({
    // The saved guest is kept in it
    dom0MemoryMiB: 1280,
    bootTimeoutMs: LIMIT,
    files: [
      // Bochs takes minutes to unpack the image
      {
        from: config.emulator === bochs ? kernel.vmlinux : kernel.image,
        to: KERNEL,
      },
      { from: ramdisk, to: RAMDISK },
    ],
    ...config,
  });
}

/** Starts a guest, which has the name of its type. */
async function startGuest(lab: Lab, type: GuestType): Promise<Guest> {
  const { config } = await linuxGuest("6.1");
  const guest = await lab.createGuest({
    ...config[type],
    name: type,
    kernel: KERNEL,
    ramdisk: RAMDISK,
  });
  await guest.waitForConsole(/guest ready/, LIMIT);
  return guest;
}

async function guardGuest(lab: Lab, type: GuestType, ...args: string[]) {
  const monitor = await Monitor.start(
    lab,
    ...["--dom", type, "--wait", "--kernel", KERNEL, ...args],
  );
  const armed = await monitor.armed(undefined, ARM_LIMIT);
  return { monitor, armed, rungs: armed.regions!.map(({ rung }) => rung) };
}

/**
 * The guest answers on its console, once more. What a guest says that came by a
 * migration goes to another log.
 */
async function assertAlive(lab: Lab, guest: Guest, question: number) {
  await guest.type(`echo $((${question} * 7)) is the answer`);
  const answer = new RegExp(`^${question * 7} is the answer`, "m");
  await poll(async () => {
    const logs = [...await lab.logs()];
    const isSaid = logs.some(([name, text]) =>
      name.startsWith(`guest-${guest.name}`) && answer.test(text)
    );
    return isSaid || undefined;
  }, { timeoutMs: LIMIT, waitingFor: () => `${answer}` });
}

async function assertQuietEnd(monitor: Monitor): Promise<void> {
  const { code, stderr } = await monitor.stop();
  assertEquals([code, stderr], [0, ""]);
  assertEquals(await monitor.findings(), []);
}

async function saveAndRestore(lab: Lab, type: GuestType, rung: string) {
  const guest = await startGuest(lab, type);
  const { monitor, armed, rungs } = await guardGuest(lab, type);
  await using _monitor = monitor;
  assert(rungs.includes(rung), `${rungs}`);

  await lab.run(["xl", "save", type, IMAGE], { timeoutMs: LIMIT });
  await monitor.notice(/guest is suspended/);
  await monitor.notice(/guest is gone: saved or migrated/);
  await lab.run(["xl", "restore", IMAGE], { timeoutMs: LIMIT });
  await lab.run(["rm", IMAGE]);
  const second = await monitor.rearmed(armed.domain.id, ARM_LIMIT);
  assertEquals(second.regions, armed.regions);
  await assertAlive(lab, guest, 6);
  await lab.run(["xl", "destroy", type]);
  await assertQuietEnd(monitor);
}

/** Migrates a guest to the host that it is on. */
function migrate(lab: Lab, name: string) {
  const migration = ["xl", "migrate", "-s", "", name, "xl migrate-receive"];
  return lab.run(migration, { timeoutMs: LIMIT, check: false });
}

Deno.test("a guarded Linux guest is saved and restored", async (t) => {
  await using lab = await linuxLab();
  await t.step(
    "as pv guest, whose data is on the rung lock",
    () => saveAndRestore(lab, "pv", "lock"),
  );
  await t.step(
    "as pvh guest, whose data is on the rung gate",
    () => saveAndRestore(lab, "pvh", "gate"),
  );
});

Deno.test({
  // PV guests this Xen migrates not at all: it is built without shadow paging
  name: "a guarded PVH guest is migrated live, unless it is gated",
  ignore: !LONG,
  fn: async (t) => {
    await using lab = await linuxLab({ memoryMiB: 3072 });
    const pvh = await startGuest(lab, "pvh");
    await t.step(
      "as pvh guest it is not migrated behind a gate, and guarded on",
      async () => {
        const { monitor, rungs } = await guardGuest(lab, "pvh");
        await using _monitor = monitor;
        assert(rungs.includes("gate"), `${rungs}`);
        const { code, stderr } = await migrate(lab, "pvh");
        assertNotEquals(code, 0, stderr);
        await assertAlive(lab, pvh, 8);
        await assertQuietEnd(monitor);
      },
    );

    await t.step("nor is anything left that keeps it from that", async () => {
      const { code, stderr } = await migrate(lab, "pvh");
      assertEquals(code, 0, stderr);
      await assertAlive(lab, pvh, 9);
    });

    await t.step(
      "where its writes are logged the migration takes that log over",
      async () => {
        const { monitor, armed, rungs } = await guardGuest(
          lab,
          "pvh",
          ...["--rungs", "dirty,poll"],
        );
        await using _monitor = monitor;
        assert(rungs.includes("dirty"), `${rungs}`);
        const { code, stderr } = await migrate(lab, "pvh");
        assertEquals(code, 0, stderr);
        const { regions } = await monitor.rearmed(armed.domain.id, ARM_LIMIT);
        assertEquals(regions, armed.regions);
        await assertAlive(lab, pvh, 10);
        await lab.run(["xl", "destroy", "pvh"]);
        await assertQuietEnd(monitor);
      },
    );
  },
});

Deno.test({
  name: "a guest behind a trap is saved and restored, on a processor of Intel",
  ignore: !LONG,
  fn: async () => {
    await using lab = await linuxLab({ emulator: bochs, memoryMiB: 3072 });
    await saveAndRestore(lab, "pvh", "trap");
  },
});
