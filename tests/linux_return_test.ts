import { assert, assertEquals } from "@std/assert";
import { linuxGuest } from "./lab/mod.ts";
import { LONG } from "./support/long.ts";
import { Monitor } from "./support/monitor.ts";
import { residentMemory } from "./support/resident_memory.ts";
import { startLab } from "./support/start_lab.ts";

/** A guest starts and its profile is made in it, ms */
const ARM_LIMIT = 300_000;
const KERNEL = "/boot/vmlinuz";
const RAMDISK = "/boot/initrd";
/** How often a guest comes back, of each type */
const RETURNS = LONG ? { pvh: 20, pv: 20 } : { pvh: 4, pv: 2 };
/** Resident memory at most, in times of that after the first start */
const GROWTH = 1.4;

Deno.test("guests that come back over and over take no more memory of Dom0", async (t) => {
  const { kernel, ramdisk, config } = await linuxGuest("6.1");
  await using lab = await startLab({
    files: [
      { from: kernel.image, to: KERNEL },
      { from: ramdisk, to: RAMDISK },
    ],
  });
  for (const type of ["pvh", "pv"] as const) {
    await t.step(`as ${type} guest, after its reboot or its end`, async () => {
      const start = () =>
        lab.createGuest({
          ...config[type],
          name: type,
          kernel: KERNEL,
          ramdisk: RAMDISK,
        });
      await start();
      await using monitor = await Monitor.start(lab, "--dom", type, "--wait");
      let { domain } = await monitor.armed(undefined, ARM_LIMIT);
      const resident = async () =>
        (await residentMemory(lab, monitor.job.pid!)).all;
      const first = await resident();
      const sizes = [first];
      for (let time = 0; time < RETURNS[type]; time++) {
        if (time % 2 === 0) await lab.run(["xl", "reboot", type]);
        else {
          await lab.run(["xl", "destroy", type]);
          await start();
        }
        ({ domain } = await monitor.rearmed(domain.id, ARM_LIMIT));
        sizes.push(await resident());
      }
      const shown = sizes.map((size) => size.toFixed(0));
      console.log(`resident at each start, MiB: ${shown}`);
      assert(Math.max(...sizes) < GROWTH * first, `${sizes}`);
      const { code, stderr } = await monitor.stop();
      assertEquals([code, stderr], [0, ""]);
      assertEquals(await monitor.findings(), []);
      await lab.run(["xl", "destroy", type]);
    });
  }
});
