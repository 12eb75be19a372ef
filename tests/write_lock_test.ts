import { assertEquals } from "@std/assert";
import { abandon } from "./support/abandon.ts";
import { assertCanBeShutDown } from "./support/assert_can_be_shut_down.ts";
import { assertFindings } from "./support/assert_findings.ts";
import { assertGuests } from "./support/assert_guests.ts";
import { assertUnprotected } from "./support/assert_unprotected.ts";
import { expectedFindings } from "./support/expected_findings.ts";
import { freshGuest } from "./support/fresh_guest.ts";
import { Monitor } from "./support/monitor.ts";
import { runXkmon } from "./support/run_xkmon.ts";
import { startLab } from "./support/start_lab.ts";
import { waitUntilUndone } from "./support/wait_until_undone.ts";

const GUARD = ["--dom", "simpleos"];
const REPORT = [...GUARD, "--on-attack", "report", "--interval", "0.5"];
/** A time in which there are several passes */
const SEVERAL_PASSES = "sleep 2";

/** Attacks on data that a lock stops, with what is told of each */
const STOPPED = {
  data_attack: expectedFindings.data_attack,
  data_attack_remap: [],
  data_attack_hypercall: [],
  data_attack_alias: [],
} as const;

Deno.test("the lock on the data of a PV guest", async (t) => {
  await using lab = await startLab();
  let reporting: Monitor | undefined;

  for (const [attack, findings] of Object.entries(STOPPED)) {
    await t.step(`stops ${attack}, seen from inside`, async () => {
      await using fresh = await freshGuest(lab);
      const { simpleos, domid } = fresh;
      const checksum = await simpleos.command("checksum");
      reporting ??= await Monitor.startAlone(lab, ...REPORT, "--wait");
      const { regions } = await reporting.armed(domid);
      assertEquals(
        regions!.map(({ rung }) => rung),
        ["protect", "lock", "lock"],
      );
      assertEquals(await simpleos.command(attack), "blocked");
      await lab.run(SEVERAL_PASSES);
      assertEquals(await simpleos.command("checksum"), checksum);
      await assertFindings(await reporting.findings(domid), findings);
      await assertCanBeShutDown(simpleos);
    });
  }

  await t.step("the monitor that stopped them ends in good order", async () => {
    const { code, stderr } = await reporting!.stop();
    assertEquals([code, stderr], [0, ""]);
  });

  await t.step("does not stop a swap, which is caught", async () => {
    await using fresh = await freshGuest(lab);
    const { simpleos, domid } = fresh;
    await using monitor = await Monitor.startAlone(lab, ...GUARD);
    await monitor.armed(domid);
    await simpleos.send("data_attack_swap");
    await monitor.response(domid);
    assertEquals(await simpleos.guest.state(), "--p---");
    await assertFindings(
      await monitor.findings(domid),
      expectedFindings.data_attack_swap,
    );
  });

  await t.step("lets others look at what is locked", async () => {
    await using fresh = await freshGuest(lab);
    await using monitor = await Monitor.startAlone(lab, ...GUARD);
    await monitor.armed(fresh.domid);
    const { code, stdout, stderr } = await runXkmon(lab, "scan", ...GUARD);
    assertEquals([code, stderr], [0, ""], stdout);
  });

  await t.step("is undone when the monitor ends, or is killed", async () => {
    await using fresh = await freshGuest(lab);
    const { simpleos, domid } = fresh;
    const first = await Monitor.start(lab, ...GUARD);
    await first.armed(domid);
    await first.stop();
    const second = await Monitor.start(lab, ...GUARD);
    await second.armed(domid);
    await second.kill();
    await waitUntilUndone(lab, domid);
    await assertUnprotected(simpleos);
  });

  await t.step("is undone by the next monitor without a guardian", async () => {
    await using fresh = await freshGuest(lab);
    const { simpleos, domid } = fresh;
    await abandon(lab, domid, ...GUARD);
    assertEquals(await simpleos.command("data_attack"), "blocked");
    assertEquals((await runXkmon(lab, "release", ...GUARD)).code, 0);
    await assertUnprotected(simpleos);
  });

  await t.step("does not outlive a guest that is destroyed", async () => {
    await using fresh = await freshGuest(lab);
    await using monitor = await Monitor.startAlone(lab, ...GUARD);
    await monitor.armed(fresh.domid);
    await fresh.simpleos.guest.destroy();
    assertEquals((await monitor.ended()).code, 0);
    await assertGuests(lab);
  });
});
