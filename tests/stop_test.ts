import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Lab } from "./lab/mod.ts";
import { abandon } from "./support/abandon.ts";
import { assertFindings } from "./support/assert_findings.ts";
import { assertRefused } from "./support/assert_refused.ts";
import { assertUnprotected } from "./support/assert_unprotected.ts";
import { expectedFindings } from "./support/expected_findings.ts";
import { freshGuest } from "./support/fresh_guest.ts";
import { guardians } from "./support/guardians.ts";
import { hasJournal } from "./support/has_journal.ts";
import { LONG } from "./support/long.ts";
import { Monitor } from "./support/monitor.ts";
import { runXkmon } from "./support/run_xkmon.ts";
import { startLab, XKMON } from "./support/start_lab.ts";
import { untilNoted } from "./support/until_noted.ts";
import { waitUntilUndone } from "./support/wait_until_undone.ts";

const GUARD = ["--dom", "simpleos"];
/** One by the guardian: the other ways to clean up have steps of their own */
const KILLS = LONG ? 10 : 1;
/** At most so long after its first note a monitor is killed; half of it is arming. */
const LAST_KILL_US = 400_000;

/**
 * Kills a monitor some time after it began to change the guest. Arguments: the
 * guest's domain id, microseconds, program and its arguments.
 */
const KILL_LATER = `
domid=$1 us=$2
shift 2
"$@" --interval 0.05 >/dev/null 2>&1 &
${untilNoted(10000)}
usleep "$us"
kill -9 $!
wait $!
[ $? -eq 137 ]`;

async function killLater(
  lab: Lab,
  domid: number,
  us: number,
  ...options: string[]
): Promise<void> {
  await lab.run(
    [
      ...["sh", "-c", KILL_LATER, "sh", String(domid), String(us)],
      ...[XKMON, "--dom", String(domid), ...options],
    ],
    { timeoutMs: 120_000 },
  );
}

Deno.test("the end of a monitor", async (t) => {
  await using lab = await startLab();

  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    await t.step({
      name: `${signal} takes the protection off, and the guardian along`,
      ignore: signal !== "SIGTERM" && !LONG,
      fn: async () => {
        await using fresh = await freshGuest(lab);
        const { simpleos, domid } = fresh;
        await using monitor = await Monitor.start(lab, ...GUARD);
        await monitor.armed();
        assert(await hasJournal(lab, domid));
        assertEquals((await guardians(lab)).length, 1);

        const { code, stderr } = await monitor.stop(signal);
        assertEquals([code, stderr], [0, ""]);
        await monitor.notice(/protection is off, .*; simpleos runs on/);
        assertEquals(await guardians(lab), []);
        await assertUnprotected(simpleos);
      },
    });
  }

  await t.step("a second monitor is refused, the first guards on", async () => {
    await using fresh = await freshGuest(lab);
    const { simpleos, domid } = fresh;
    await using monitor = await Monitor.start(lab, ...GUARD);
    await monitor.armed();

    const second = await runXkmon(lab, ...GUARD);
    assertRefused(second, RegExp(`process ${monitor.job.pid}\\b`));
    assertEquals(second.stdout, "");

    await simpleos.send("data_attack");
    await monitor.response(domid);
  });

  await t.step("a guardian that is killed is replaced", async () => {
    await using fresh = await freshGuest(lab);
    const { simpleos, domid } = fresh;
    await using killed = await Monitor.start(lab, ...GUARD);
    await killed.armed();
    const [first] = await guardians(lab);
    await lab.run(`kill -9 ${first}`);
    await killed.job.waitForLine(
      /the guardian died; another/,
      60_000,
      "stderr",
    );
    await killed.kill();
    await waitUntilUndone(lab, domid);
    await assertUnprotected(simpleos);
    assertMatch(
      await killed.job.text("stderr"),
      /the monitor of simpleos was killed: \d+ page-table entries are writable again/,
    );
  });

  await t.step("after SIGKILL the next monitor cleans up", async () => {
    await using fresh = await freshGuest(lab);
    const { simpleos, domid } = fresh;
    await abandon(lab, domid, ...GUARD);
    assertEquals(await simpleos.command("data_attack"), "blocked");

    await using next = await Monitor.start(
      lab,
      ...[...GUARD, "--on-attack", "report"],
    );
    await next.notice(
      /an earlier monitor left something behind: \d+ page-table entries are writable again/,
    );
    await next.armed();
    assertEquals(await simpleos.command("code_attack"), "blocked");
    await next.finding(domid);
    assertEquals((await next.stop()).code, 0);
    // What was stopped while nobody watched is no news any more
    await assertFindings(await next.findings(), expectedFindings.code_attack);
    await assertUnprotected(simpleos);
  });

  await t.step("after SIGKILL xkmon release cleans up", async () => {
    await using fresh = await freshGuest(lab);
    const { simpleos, domid } = fresh;
    await abandon(lab, domid, ...GUARD);

    const { code, stdout } = await runXkmon(lab, "release", ...GUARD);
    assertMatch(stdout, /released: \d+ page-table entries are writable again/);
    assertEquals(code, 0);
    await assertUnprotected(simpleos);
  });

  await t.step("the pause after an attack outlives the monitors", async () => {
    await using fresh = await freshGuest(lab);
    const { simpleos, domid } = fresh;
    await using killed = await Monitor.start(lab, ...GUARD);
    await killed.armed();
    await simpleos.send("data_attack");
    await killed.response(domid);
    await killed.kill();
    assertEquals(await simpleos.guest.state(), "--p---");

    await using next = await Monitor.start(lab, ...GUARD);
    await next.notice(/behind: left it paused after an attack/);
    await next.armed();
    assertEquals((await next.stop()).code, 0);
    await next.notice(/simpleos stays paused because of the attack/);
    assertEquals(await simpleos.guest.state(), "--p---");

    const { code, stdout } = await runXkmon(lab, "release", ...GUARD);
    assertMatch(stdout, /released: ended the pause after an attack/);
    assertEquals(code, 0);
    await assertUnprotected(simpleos);
  });

  await t.step("monitors killed at random are undone", async (t) => {
    for (let run = 0; run < KILLS; run++) {
      const us = Math.floor(Math.random() * LAST_KILL_US);
      const by = (["guardian", "release", "next monitor"] as const)[run % 3]!;
      await t.step(`after ${us / 1000} ms, by the ${by}`, async () => {
        await using fresh = await freshGuest(lab);
        const { domid, simpleos } = fresh;
        const options = by === "guardian" ? [] : ["--fail-closed"];
        await killLater(lab, domid, us, ...options);
        if (by === "guardian") {
          await waitUntilUndone(lab, domid);
        } else if (by === "next monitor") {
          await using next = await Monitor.start(lab, ...GUARD);
          await next.notice(/an earlier monitor left something behind/);
          await next.armed();
          assertEquals((await next.stop()).code, 0);
        } else {
          const { code } = await runXkmon(lab, "release", ...GUARD);
          assertEquals(code, 0);
        }
        await assertUnprotected(simpleos);
      });
    }
  });
});
