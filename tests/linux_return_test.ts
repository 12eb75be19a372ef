import { assert, assertEquals } from "@std/assert";
import { type Lab, linuxGuest } from "./lab/mod.ts";
import { LONG } from "./support/long.ts";
import { Monitor } from "./support/monitor.ts";
import { startLab } from "./support/start_lab.ts";

/** A guest starts and its profile is made in it, ms */
const ARM_LIMIT = 300_000;
const KERNEL = "/boot/vmlinuz";
const RAMDISK = "/boot/initrd";
/** How often a guest comes back, of each type */
const RETURNS = LONG ? { pvh: 20, pv: 20 } : { pvh: 4, pv: 2 };
/** Resident memory at most, in times of that after the first start */
const GROWTH = 1.4;

/** Resident memory of a process in Dom0, KiB. */
async function resident(lab: Lab, pid: number): Promise<number> {
  const { stdout } = await lab.run(["cat", `/proc/${pid}/status`]);
  const [, size] = stdout.match(/^VmRSS:\s*(\d+) kB$/m)!;
  return Number(size);
}

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
      const first = await resident(lab, monitor.job.pid!);
      const sizes = [first];
      for (let time = 0; time < RETURNS[type]; time++) {
        if (time % 2 === 0) await lab.run(["xl", "reboot", type]);
        else {
          await lab.run(["xl", "destroy", type]);
          await start();
        }
        const before = domain.id;
        ({ domain } = await monitor.waitFor(
          "the guest under its new domain id",
          ({ type, phase, domain }) =>
            type === "armed" && phase === "running" && domain.id > before,
          ARM_LIMIT,
        ));
        sizes.push(await resident(lab, monitor.job.pid!));
      }
      console.log(`resident at each start, MiB: ${sizes.map(inMiB)}`);
      assert(Math.max(...sizes) < GROWTH * first, `${sizes}`);
      const { code, stderr } = await monitor.stop();
      assertEquals([code, stderr], [0, ""]);
      assertEquals(await monitor.findings(), []);
      await lab.run(["xl", "destroy", type]);
    });
  }
});

function inMiB(size: number): string {
  return (size / 1024).toFixed(0);
}
