import { assert, assertEquals } from "@std/assert";
import { linuxGuest } from "./lab/mod.ts";
import { Monitor } from "./support/monitor.ts";
import { startLab } from "./support/start_lab.ts";

/** A profile is made in it, ms */
const ARM_LIMIT = 300_000;
const IMAGE = "/root/saved";

/** How the guest is kept from writing to its read-only data. */
const RUNGS = { pv: "lock", pvh: "gate" } as const;

Deno.test("a guarded Linux guest is saved and restored", async (t) => {
  const { kernel, ramdisk, config } = await linuxGuest("6.1");
  await using lab = await startLab({
    // The saved guest is kept in it
    dom0MemoryMiB: 1280,
    files: [
      { from: kernel.image, to: "/boot/vmlinuz" },
      { from: ramdisk, to: "/boot/initrd" },
    ],
  });
  for (const [type, rung] of Object.entries(RUNGS)) {
    await t.step(
      `as ${type} guest, whose data is on the rung ${rung}`,
      async () => {
        const guest = await lab.createGuest({
          ...config[type as keyof typeof RUNGS],
          name: type,
          kernel: "/boot/vmlinuz",
          ramdisk: "/boot/initrd",
        });
        await guest.waitForConsole(/guest ready/, 120_000);
        await using monitor = await Monitor.start(
          lab,
          ...["--dom", type, "--wait", "--kernel", "/boot/vmlinuz"],
        );
        const first = await monitor.armed(undefined, ARM_LIMIT);
        assert(first.regions!.some((region) => region.rung === rung));

        await lab.run(["xl", "save", type, IMAGE], { timeoutMs: 120_000 });
        await monitor.notice(/guest is suspended/);
        await monitor.notice(/guest is gone: saved or migrated/);
        await lab.run(["xl", "restore", IMAGE], { timeoutMs: 120_000 });
        await lab.run(["rm", IMAGE]);
        const second = await monitor.waitFor(
          "the restored guest",
          (event) =>
            event.type === "armed" && event.domain.id > first.domain.id,
          ARM_LIMIT,
        );
        assertEquals(second.regions, first.regions);
        await guest.type("echo $((6 * 7)) is the answer");
        await guest.waitForConsole(/^42 is the answer/m);
        await lab.run(["xl", "destroy", type]);
        const { code, stderr } = await monitor.stop();
        assertEquals([code, stderr], [0, ""]);
        assertEquals(await monitor.findings(), []);
      },
    );
  }
});
