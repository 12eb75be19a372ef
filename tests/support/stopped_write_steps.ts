import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
} from "@std/assert";
import type { Lab } from "../lab/mod.ts";
import type { Attack } from "../simpleos/attacks.ts";
import { PVH_ATTACKS, type SimpleOS } from "../simpleos/guest.ts";
import { abandon } from "./abandon.ts";
import { assertCanBeShutDown } from "./assert_can_be_shut_down.ts";
import { assertFindings } from "./assert_findings.ts";
import { assertStandsStill } from "./assert_stands_still.ts";
import type { ExpectedFinding } from "./expected_findings.ts";
import { addressOf, pageOf, pointerTo } from "./expected_values.ts";
import { freshGuest } from "./fresh_guest.ts";
import { hasJournal } from "./has_journal.ts";
import { LONG } from "./long.ts";
import { Monitor } from "./monitor.ts";
import type { PrintedFinding } from "./printed_event.ts";
import { runXkmon } from "./run_xkmon.ts";
import { waitUntilUndone } from "./wait_until_undone.ts";

const GUARD = ["--dom", "simpleos"];
const PVH = { type: "pvh" } as const;
/** No pass but the first: what is told comes from what stops writes */
const NO_PASSES = ["--interval", "3600"];

/** The guest waits for an answer to a write. */
async function assertWaits(simpleos: SimpleOS): Promise<void> {
  await simpleos.lab.run("sleep 2");
  await assertStandsStill(simpleos);
}

/** How writes are stopped, and what of it a test can see. */
export interface StoppedWrites {
  readonly rung: "trap" | "gate";
  /** Attacks that go around it, with what tells them then */
  readonly lands: Readonly<Partial<Record<Attack, "compare">>>;
  /** Whether it is told what was to be written */
  readonly tellsBytes: boolean;
  /** Whether writes to code are told as well */
  readonly tellsCode: boolean;
  /** Whether the way to the pages cannot be changed either, which is told */
  readonly tellsTables: boolean;
  /** Whether a write that waits is dropped when another ends what stops it */
  readonly dropsWaiting: boolean;
  /** Whether the host is too slow for what another one shows as well */
  readonly isSlow: boolean;
}

/** What must be told of `data_attack`. */
function stoppedData({ tellsBytes }: StoppedWrites): ExpectedFinding {
  return {
    rule: "XK-002",
    seen: "stop",
    method: "direct write",
    what: "sys_call_table",
    symbol: "shutdown_p",
    address: addressOf("shutdown_p"),
    expected: pointerTo("shutdown"),
    ...(tellsBytes ? { attempted: pointerTo("empty") } : {}),
    ipSymbol: /^data_attack\+/,
  };
}

/** Nothing keeps the guest from writing. */
async function assertWritable(simpleos: SimpleOS): Promise<void> {
  assertEquals(await simpleos.command("data_attack"), "done");
  assertEquals(await simpleos.command("shutdown"), "shutdown returned");
}

/** Steps of a test on a lab whose host stops a PVH guest's writes in one way. */
export async function stoppedWriteSteps(
  t: Deno.TestContext,
  lab: Lab,
  writes: StoppedWrites,
): Promise<void> {
  const { rung, lands, tellsCode, dropsWaiting } = writes;
  const brief = writes.isSlow && !LONG;
  await t.step(
    "stops data_attack before it lands, and tells it at once",
    async () => {
      await using fresh = await freshGuest(lab, PVH);
      const { simpleos, domid } = fresh;
      await using monitor = await Monitor.startAlone(
        lab,
        ...GUARD,
        ...NO_PASSES,
      );
      const { regions } = await monitor.armed(domid);
      assert(regions!.length >= 3);
      assertEquals(
        new Set(regions!.map(({ rung }) => rung)),
        new Set([rung]),
      );
      assertEquals(
        (await monitor.events()).filter(({ text }) =>
          text?.includes("can be stopped")
        ),
        [],
      );
      await simpleos.waitForTick();
      await simpleos.send("data_attack");
      assertEquals((await monitor.response(domid)).response, "pause");
      assertEquals(await simpleos.guest.state(), "--p---");
      await assertFindings(await monitor.findings(domid), [
        stoppedData(writes),
      ]);
      assertEquals((await monitor.stop()).code, 0);
      assertEquals(await hasJournal(lab, domid), true);
      await simpleos.guest.unpause();
      await assertCanBeShutDown(simpleos);
    },
  );

  await t.step(
    tellsCode
      ? "tells a write to code at once as well"
      : "discards a write to code without a word",
    async () => {
      await using fresh = await freshGuest(lab, PVH);
      const { simpleos, domid } = fresh;
      await using monitor = await Monitor.startAlone(
        lab,
        ...[...GUARD, ...NO_PASSES, "--on-attack", "report"],
      );
      await monitor.armed(domid);
      await simpleos.command("code_attack_alias");
      // A second write, which the first one's event comes before
      await simpleos.command("data_attack");
      await monitor.waitFor(
        "data_attack",
        ({ finding }) => finding?.symbol === "shutdown_p",
      );
      assertEquals(
        (await monitor.findings(domid)).map(({ symbol }) => symbol),
        tellsCode ? ["shutdown", "shutdown_p"] : ["shutdown_p"],
      );
      await assertCanBeShutDown(simpleos);
    },
  );

  await t.step({
    name:
      "lets page tables be used, but for the entries that lead to the pages",
    ignore: !writes.tellsTables,
    fn: async () => {
      await using fresh = await freshGuest(lab, PVH);
      const { simpleos, domid } = fresh;
      await using monitor = await Monitor.startAlone(
        lab,
        ...GUARD,
        ...NO_PASSES,
      );
      await monitor.armed(domid);
      assertEquals(await simpleos.command("load_on"), "load on");
      // Another entry of the table that leads to the pages
      assertEquals(await simpleos.command("table_use"), "done");
      await simpleos.waitForTick();
      const order = await simpleos.send("data_attack_swap");
      assertEquals((await monitor.response(domid)).response, "pause");
      assertEquals(await simpleos.guest.state(), "--p---");
      await assertFindings(await monitor.findings(domid), [{
        rule: "XK-003",
        seen: "stop",
        drift: "entry",
        what: "sys_call_table",
        address: pageOf("shutdown_p"),
        expected: /^[0-9a-f]{16}$/,
        ipSymbol: /^pvh_set_entry\+/,
      }]);
      assertEquals((await monitor.stop()).code, 0);
      await simpleos.guest.unpause();
      assertEquals(await simpleos.answer(order), "done");
      await assertCanBeShutDown(simpleos);
    },
  });

  await t.step(
    "keeps write protection on, which code_attack clears first",
    async () => {
      await using fresh = await freshGuest(lab, PVH);
      const { simpleos, domid } = fresh;
      await using monitor = await Monitor.startAlone(
        lab,
        ...GUARD,
        ...NO_PASSES,
      );
      assertEquals((await monitor.armed(domid)).registers, true);
      const order = await simpleos.send("code_attack");
      assertEquals((await monitor.response(domid)).response, "pause");
      assertEquals(await simpleos.guest.state(), "--p---");
      assertEquals(
        (await monitor.findings(domid)).map((
          { rule, seen, what, symbol, ipSymbol },
        ) => [rule.id, seen, what, symbol, ipSymbol?.split("+")[0]]),
        [[
          "XK-013",
          "stop",
          "CR0.WP",
          "CR0 of vCPU 0",
          "pvh_set_write_protection",
        ]],
      );
      assertEquals((await monitor.stop()).code, 0);
      await simpleos.guest.unpause();
      assertEquals(await simpleos.answer(order), "blocked");
      await assertCanBeShutDown(simpleos);
    },
  );

  await t.step(
    "does not let idt_attack move the interrupt table, and tells it at once",
    async () => {
      await using fresh = await freshGuest(lab, PVH);
      const { simpleos, domid } = fresh;
      await using monitor = await Monitor.startAlone(
        lab,
        ...GUARD,
        ...NO_PASSES,
      );
      await monitor.armed(domid);
      const order = await simpleos.send("idt_attack");
      const isOfTables = ({ rule }: PrintedFinding) => rule.id === "XK-011";
      await monitor.waitFor(
        "the load of a table",
        ({ finding }) => finding && isOfTables(finding),
      );
      assertEquals((await monitor.response(domid)).response, "pause");
      assertEquals(await simpleos.guest.state(), "--p---");
      // The store after it is stopped by the guest itself, and told or not
      const found = (await monitor.findings(domid)).filter(isOfTables);
      await assertFindings(found, [{
        rule: "XK-011",
        seen: "stop",
        what: "IDTR of vCPU 0",
        expected: pointerTo("idt_table"),
        attempted: /^[0-9a-f]{16}$/,
        ipSymbol: /^(?:pvh_move_page_faults|load_idt)\+/,
      }]);
      assertEquals((await monitor.stop()).code, 0);
      // What was denied does not happen later, with no monitor there
      await simpleos.guest.unpause();
      assertEquals(await simpleos.answer(order), "blocked");
      await assertCanBeShutDown(simpleos);
    },
  );

  await t.step({
    name: "tells no more of descriptor tables that are read without end",
    ignore: brief,
    fn: async () => {
      await using fresh = await freshGuest(lab, PVH);
      const { simpleos, domid } = fresh;
      await using monitor = await Monitor.startAlone(lab, ...GUARD);
      await monitor.armed(domid);
      assertEquals(await simpleos.command("idt_storm"), "done");
      await monitor.notice(/descriptor tables are not stopped, but found/);
      assertEquals(await simpleos.command("idt_storm"), "done");
      // What was stopped before is found now
      await simpleos.send("idt_attack");
      assertEquals((await monitor.response(domid)).response, "pause");
      // Where its store is stopped that is told first
      await monitor.waitFor(
        "the register that leads elsewhere",
        ({ finding }) =>
          finding?.what === "IDTR of vCPU 0" && finding.seen === "drift",
      );
    },
  });

  let watcher: Monitor | undefined;
  for (const attack of PVH_ATTACKS) {
    const seenThen = lands[attack];
    await t.step(
      seenThen !== undefined
        ? `does not stop ${attack}, which is found at the next pass`
        : `keeps ${attack} from landing`,
      async () => {
        await using fresh = await freshGuest(lab, PVH);
        const { simpleos, domid } = fresh;
        watcher ??= await Monitor.startAlone(
          lab,
          ...[...GUARD, "--wait", "--on-attack", "report"],
        );
        await watcher.armed(domid);
        const checksum = await simpleos.command("checksum");
        await simpleos.command(attack);
        if (seenThen !== undefined) {
          assertNotEquals(await simpleos.command("checksum"), checksum);
          const { seen } = await watcher.finding(domid);
          assertEquals(seen, seenThen);
        } else {
          assertEquals(await simpleos.command("checksum"), checksum);
          await assertCanBeShutDown(simpleos);
        }
      },
    );
  }
  await watcher?.stop();

  await t.step(
    "closes what Xen put in the place of a page, and restores what was there",
    async () => {
      await using fresh = await freshGuest(lab, PVH);
      const { simpleos, domid } = fresh;
      await using monitor = await Monitor.startAlone(
        lab,
        ...[...GUARD, "--interval", "0.5", "--on-attack", "restore"],
      );
      await monitor.armed(domid);
      const checksum = await simpleos.command("checksum");
      assertEquals(await simpleos.command("data_attack_populate"), "done");
      const { response } = await monitor.response(domid);
      assertEquals(response, "restore");
      await monitor.notice(/not stopped, .* replace guarded pages \(1 times\)/);
      assertEquals(await simpleos.command("checksum"), checksum);
      await simpleos.command("data_attack");
      await monitor.waitFor(
        "a response to what was stopped",
        ({ type, text }) =>
          type === "response" && text?.startsWith("nothing had landed"),
      );
      await assertCanBeShutDown(simpleos);
    },
  );

  await t.step("goes when the monitor ends", async () => {
    await using fresh = await freshGuest(lab, PVH);
    const { simpleos, domid } = fresh;
    const monitor = await Monitor.startAlone(lab, ...GUARD);
    await monitor.armed(domid);
    const { code } = await monitor.stop();
    assertEquals(code, 0);
    await monitor.notice(/protection is off, \d+ pages are writable again/);
    assertEquals(await hasJournal(lab, domid), false);
    await assertWritable(simpleos);
  });

  for (
    const [name, undo] of [
      ["xkmon release", async () => {
        const { stdout, code } = await runXkmon(lab, "release", ...GUARD);
        assertMatch(stdout, /released: .*writable again/);
        assertEquals(code, 0);
      }],
      ["the next monitor", async () => {
        await using next = await Monitor.startAlone(
          lab,
          ...[...GUARD, "--on-attack", "report"],
        );
        await next.notice(/an earlier monitor left .*writable again/);
        // Xen has one ring of events for a guest: no other is left
        assertEquals((await next.armed()).registers, true);
      }],
    ] as const
  ) {
    await t.step({
      name:
        `a guest that waits for a monitor which was killed goes on by ${name}`,
      ignore: brief,
      fn: async () => {
        await using fresh = await freshGuest(lab, PVH);
        const { simpleos, domid } = fresh;
        await abandon(lab, domid, ...GUARD, ...NO_PASSES);
        const order = await simpleos.send("data_attack");
        await assertWaits(simpleos);
        await undo();
        assertEquals(await simpleos.answer(order), "done");
        assertEquals(await hasJournal(lab, domid), false);
        if (dropsWaiting) await assertCanBeShutDown(simpleos);
        else {
          assertEquals(await simpleos.command("shutdown"), "shutdown returned");
        }
      },
    });
  }

  await t.step({
    name: "a guest that waits for a monitor which hangs goes on without it",
    // Half a minute is waited for it, on one rung
    ignore: !writes.isSlow && !LONG,
    fn: async () => {
      await using fresh = await freshGuest(lab, PVH);
      const { simpleos, domid } = fresh;
      const hung = await Monitor.start(lab, ...GUARD, ...NO_PASSES);
      await hung.armed(domid);
      await hung.job.signal("SIGSTOP");
      const order = await simpleos.send("data_attack");
      await assertWaits(simpleos);

      await hung.ended();
      assertEquals(await simpleos.answer(order), "done");
      // The guest goes on before the guardian has done all
      await waitUntilUndone(lab, domid);
      await assertWritable(simpleos);
      assertMatch(
        await hung.job.text("stderr"),
        /hung for 30 s, .*\n.*the monitor of simpleos was killed: .*writable again/,
      );
    },
  });
}
