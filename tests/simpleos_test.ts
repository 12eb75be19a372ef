import { Lab } from "./lab/mod.ts";
import { startSimpleOS } from "./simpleos/guest.ts";
import { lifeSteps } from "./support/life_steps.ts";

const gone = (state: string | undefined) => state === undefined;

/** One lab for all: guests are quick, machines are not. */
Deno.test("SimpleOS with no monitor", async (t) => {
  await using lab = await Lab.start();
  const simpleos = await startSimpleOS(lab);

  await lifeSteps(t, simpleos);

  await t.step("shuts down when the toolstack asks", async () => {
    await simpleos.guest.shutdown(30_000);
  });

  await t.step("shuts down on its own command, with 16 MiB", async () => {
    const simpleos = await startSimpleOS(lab, { memoryMiB: 16 });
    await simpleos.send("shutdown");
    await simpleos.guest.waitForState(gone, 30_000);
  });

  await t.step("reboots on its own command, with 64 MiB", async () => {
    const simpleos = await startSimpleOS(lab, { memoryMiB: 64 });
    await simpleos.send("reboot");
    await simpleos.guest.waitForConsole(
      /state: shutdown[^]*state: running/,
      30_000,
    );
    await simpleos.guest.destroy();
  });
});
