import { assertEquals, assertNotEquals } from "@std/assert";
import { ATTACKS, type SimpleOS } from "./simpleos/guest.ts";
import { assertCannotBeShutDown } from "./support/assert_cannot_be_shut_down.ts";
import { assertFindings } from "./support/assert_findings.ts";
import { assertStandsStill } from "./support/assert_stands_still.ts";
import { assertToldBetween } from "./support/assert_told_between.ts";
import { dom0Clock } from "./support/dom0_clock.ts";
import { expectedFindings } from "./support/expected_findings.ts";
import { freshGuest } from "./support/fresh_guest.ts";
import { LONG } from "./support/long.ts";
import { Monitor } from "./support/monitor.ts";
import { startLab } from "./support/start_lab.ts";

const PAPER_ATTACKS = ["data_attack", "code_attack"] as const;
const isOfPaper = (attack: string) =>
  PAPER_ATTACKS.some((other) => other === attack);
const RUNS = 20;

/** Seconds from one pass to the next, and a time in which there are several. */
const INTERVAL = "0.5";
/** Rungs that let attacks through which only a Xen-aware kernel makes */
const RUNGS = ["--rungs", "protect,poll"];
const SEVERAL_PASSES = "sleep 2";

async function assertPaused(simpleos: SimpleOS): Promise<void> {
  assertEquals(await simpleos.guest.state(), "--p---");
  await assertStandsStill(simpleos);
}

Deno.test("each attack", async (t) => {
  await using lab = await startLab();
  let monitor: Monitor | undefined;

  for (const attack of ATTACKS) {
    await t.step({
      name: `${attack} succeeds with no monitor`,
      ignore: !LONG && !isOfPaper(attack),
      fn: async () => {
        await using fresh = await freshGuest(lab, { name: "unguarded" });
        const { simpleos } = fresh;
        const checksum = await simpleos.command("checksum");
        assertEquals(await simpleos.command(attack), "done");
        assertEquals(await simpleos.state(), `attacked ${attack}`);
        assertNotEquals(await simpleos.command("checksum"), checksum);
        await assertCannotBeShutDown(simpleos);
      },
    });

    await t.step(`${attack} is caught, named and told once`, async () => {
      await using fresh = await freshGuest(lab);
      const { simpleos, domid } = fresh;
      monitor ??= await Monitor.startAlone(
        lab,
        ...["--dom", "simpleos", "--wait", "--interval", INTERVAL],
        ...RUNGS,
      );
      await monitor.armed(domid);

      const sent = await dom0Clock(lab);
      await simpleos.send(attack);
      assertEquals((await monitor.response(domid)).response, "pause");
      await assertPaused(simpleos);

      await simpleos.guest.unpause();
      await simpleos.waitForTick();
      await lab.run(SEVERAL_PASSES);
      await assertFindings(
        await monitor.findings(domid),
        expectedFindings[attack],
      );
      assertToldBetween(
        await monitor.findingEvents(domid),
        sent,
        await dom0Clock(lab),
      );
    });
  }

  await t.step("the monitor that saw them all ends in good order", async () => {
    const { code, stderr } = await monitor!.stop();
    assertEquals([code, stderr], [0, ""]);
  });
});

Deno.test("a plain attack on a guest whose monitor only reports", async (t) => {
  await using lab = await startLab();
  for (const attack of PAPER_ATTACKS) {
    await t.step(`${attack} is stopped, and the guest lives on`, async () => {
      await using fresh = await freshGuest(lab);
      const { simpleos, domid } = fresh;
      const checksum = await simpleos.command("checksum");
      await using monitor = await Monitor.startAlone(
        lab,
        ...["--dom", "simpleos", "--on-attack", "report"],
        ...["--interval", INTERVAL],
      );
      await monitor.armed(domid);

      assertEquals(await simpleos.command(attack), "blocked");
      await lab.run(SEVERAL_PASSES);
      await assertFindings(
        await monitor.findings(domid),
        expectedFindings[attack],
      );
      assertEquals(await simpleos.command("checksum"), checksum);
      await simpleos.waitForTick();

      await simpleos.send("shutdown");
      await simpleos.guest.waitForState((state) => state === undefined);
      assertEquals((await monitor.ended()).code, 0);
      await monitor.notice(/guest is gone: poweroff/);
    });
  }
});

Deno.test({ name: `${RUNS} runs in a row`, ignore: !LONG }, async (t) => {
  await using lab = await startLab();
  for (const attack of PAPER_ATTACKS) {
    await t.step(`${attack} is caught in each of ${RUNS}`, async () => {
      await using stack = new AsyncDisposableStack();
      let monitor: Monitor | undefined;
      let caught = 0;
      for (let run = 0; run < RUNS; run++) {
        await using fresh = await freshGuest(lab);
        const { simpleos, domid } = fresh;
        monitor ??= stack.use(
          await Monitor.startAlone(lab, "--dom", "simpleos", "--wait"),
        );
        await monitor.armed(domid);
        await simpleos.send(attack);
        await monitor.response(domid);
        assertEquals(await simpleos.guest.state(), "--p---");
        await assertFindings(
          await monitor.findings(domid),
          expectedFindings[attack],
        );
        caught++;
      }
      assertEquals(caught, RUNS);
    });
  }
});
