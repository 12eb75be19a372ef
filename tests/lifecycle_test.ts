import { assert, assertEquals } from "@std/assert";
import type { Lab } from "./lab/mod.ts";
import { SimpleOS } from "./simpleos/guest.ts";
import { assertGuests } from "./support/assert_guests.ts";
import { crashingKernel } from "./support/crashing_kernel.ts";
import { freshGuest } from "./support/fresh_guest.ts";
import { hasJournal } from "./support/has_journal.ts";
import { leftFiles } from "./support/left_files.ts";
import { LONG } from "./support/long.ts";
import { Monitor } from "./support/monitor.ts";
import { putBytes } from "./support/put_bytes.ts";
import { startLab } from "./support/start_lab.ts";

const GUARD = ["--dom", "simpleos"];
/** Guests that are destroyed at random, and when at the latest, microseconds */
const DESTROYED = LONG ? 20 : 2;
const LAST_DESTROY_US = 1_500_000;
/** How long a monitor waits for a guest that crashed, ms, and something more. */
const REBOOT_LIMIT = 60_000 + 60_000;

/** Starts a guest that crashes when it is told to `ping`. */
async function startCrashingGuest(lab: Lab): Promise<SimpleOS> {
  await putBytes(lab, await crashingKernel(), "/root/crashing.elf");
  const guest = await lab.createGuest({
    name: "crashing",
    type: "pv",
    kernel: "/root/crashing.elf",
    memory: 32,
    on_crash: "destroy",
  });
  await guest.waitForConsole(/state: running/);
  return new SimpleOS(lab, guest);
}

async function gone(monitor: Monitor, domid: number): Promise<string> {
  const { text } = await monitor.waitFor(
    `the end of domain ${domid}`,
    ({ text, domain }) => text?.includes("gone") && domain.id === domid,
  );
  return text!;
}

Deno.test("the life of a guarded guest", async (t) => {
  await using lab = await startLab();
  // The monitor waits a minute for its return, and others go on meanwhile
  const crashing = await startCrashingGuest(lab);
  const crashed = await Monitor.start(lab, "--dom", "crashing");

  await t.step("a crash is said, and nothing of it is left", async () => {
    const domid = (await crashed.armed()).domain.id;
    await crashing.send("ping");
    assertEquals(await gone(crashed, domid), "guest is gone: crash");
    await assertGuests(lab);
  });

  await t.step("reboots are followed, and the guest armed again", async () => {
    await using fresh = await freshGuest(lab);
    const { simpleos, domid } = fresh;
    await using monitor = await Monitor.start(lab, ...GUARD);
    await monitor.armed(domid);

    await lab.run(["xl", "reboot", "simpleos"]);
    const second = (await monitor.rearmed(domid)).domain.id;
    assertEquals(await gone(monitor, domid), "guest is gone: reboot");
    await assertGuests(lab, "simpleos");

    await simpleos.send("reboot");
    const third = (await monitor.rearmed(second)).domain.id;
    assertEquals(await gone(monitor, second), "guest is gone: reboot");
    assert(await hasJournal(lab, third));

    await simpleos.send("data_attack");
    await monitor.response(third);
    assertEquals(await simpleos.guest.state(), "--p---");
    assertEquals((await monitor.findings()).length, 1);
  });

  for (
    const [command, reason] of [
      ["destroy", "destroyed"],
      ["shutdown", "poweroff"],
    ] as const
  ) {
    await t.step(`after xl ${command} the monitor ends`, async () => {
      await using fresh = await freshGuest(lab);
      const { domid } = fresh;
      await using monitor = await Monitor.start(lab, ...GUARD);
      await monitor.armed(domid);
      await lab.run(["xl", command, "simpleos"]);
      assertEquals(await gone(monitor, domid), `guest is gone: ${reason}`);
      const { code, stderr } = await monitor.ended();
      assertEquals([code, stderr], [0, ""]);
      assertEquals(await hasJournal(lab, domid), false);
      await assertGuests(lab);
    });
  }

  await t.step(
    "guests that are destroyed while they are armed leave nothing",
    async () => {
      for (let run = 0; run < DESTROYED; run++) {
        await using fresh = await freshGuest(lab, { type: "pvh" });
        const { domid } = fresh;
        await using monitor = await Monitor.start(lab, ...GUARD);
        // It arms then
        await monitor.notice(/fault channel/);
        const us = Math.floor(Math.random() * LAST_DESTROY_US);
        await lab.run(`usleep ${us} && xl destroy simpleos`);
        const { code, stderr } = await monitor.ended();
        assertEquals([code, stderr], [0, ""], `after ${us / 1000} ms`);
        assertEquals(await leftFiles(lab, domid), [], `after ${us / 1000} ms`);
        await assertGuests(lab);
      }
    },
  );

  await t.step("a paused guest that is destroyed leaves nothing", async () => {
    await using fresh = await freshGuest(lab);
    const { simpleos, domid } = fresh;
    await using monitor = await Monitor.start(lab, ...GUARD);
    await monitor.armed(domid);
    await simpleos.send("code_attack");
    await monitor.response(domid);
    await simpleos.guest.destroy();
    assertEquals(await gone(monitor, domid), "guest is gone: destroyed");
    assertEquals((await monitor.ended()).code, 0);
    assertEquals(await hasJournal(lab, domid), false);
    await assertGuests(lab);
  });

  await t.step("with --wait a later guest of the name is guarded", async () => {
    await using monitor = await (async () => {
      await using fresh = await freshGuest(lab);
      const monitor = await Monitor.start(lab, ...GUARD, "--wait");
      await monitor.armed(fresh.domid);
      return monitor;
    })();
    await assertGuests(lab);
    await using _other = await freshGuest(lab, { name: "other" });
    await using fresh = await freshGuest(lab);
    const { simpleos, domid } = fresh;
    await monitor.armed(domid);
    await simpleos.send("data_attack");
    await monitor.response(domid);
    assert(
      (await monitor.events()).every(({ domain }) =>
        domain.name === "simpleos"
      ),
    );
  });

  await t.step("--on-attack reboot brings back a guarded guest", async () => {
    await using fresh = await freshGuest(lab);
    const { simpleos, domid } = fresh;
    await using monitor = await Monitor.start(
      lab,
      ...[...GUARD, "--on-attack", "reboot"],
    );
    await monitor.armed(domid);
    await simpleos.send("data_attack");
    assertEquals((await monitor.response(domid)).response, "reboot");

    const second = (await monitor.rearmed(domid)).domain.id;
    await simpleos.send("code_attack_alias");
    assertEquals((await monitor.response(second)).response, "reboot");

    const third = (await monitor.rearmed(second)).domain.id;
    assertEquals(await simpleos.command("ping"), "pong");
    assertEquals((await monitor.stop()).code, 0);
    assertEquals(await hasJournal(lab, third), false);
    await assertGuests(lab, "simpleos");
  });

  await t.step("--on-attack destroy leaves nothing of the guest", async () => {
    await using fresh = await freshGuest(lab);
    const { simpleos, domid } = fresh;
    await using monitor = await Monitor.start(
      lab,
      ...[...GUARD, "--on-attack", "destroy"],
    );
    await monitor.armed(domid);
    await simpleos.send("data_attack_swap");
    assertEquals((await monitor.response(domid)).response, "destroy");
    assertEquals(await gone(monitor, domid), "guest is gone: destroyed");
    assertEquals((await monitor.ended()).code, 0);
    assertEquals(await hasJournal(lab, domid), false);
    await assertGuests(lab);
  });

  await t.step("a crashed guest is awaited for a minute only", async () => {
    const { code, stderr } = await crashed.job.wait(REBOOT_LIMIT);
    assertEquals([code, stderr], [0, ""]);
    await crashed.notice(/guest did not come back within 60 s/);
  });
});
