import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
} from "@std/assert";
import { ATTACKS, type SimpleOS } from "./simpleos/guest.ts";
import { abandon } from "./support/abandon.ts";
import { assertFindings } from "./support/assert_findings.ts";
import { assertStandsStill } from "./support/assert_stands_still.ts";
import type { ExpectedFinding } from "./support/expected_findings.ts";
import { addressOf, pointerTo } from "./support/expected_values.ts";
import { freshGuest } from "./support/fresh_guest.ts";
import { hasJournal } from "./support/has_journal.ts";
import { Monitor } from "./support/monitor.ts";
import { runXkmon } from "./support/run_xkmon.ts";
import { startLab } from "./support/start_lab.ts";

const GUARD = ["--dom", "simpleos"];
const PVH = { type: "pvh" } as const;
/** No pass but the first: what is told is told by the gate */
const NO_PASSES = ["--interval", "3600"];

/** The guest waits for an answer to a write. */
async function assertWaits(simpleos: SimpleOS): Promise<void> {
  await simpleos.lab.run("sleep 2");
  await assertStandsStill(simpleos);
}

/** What goes around the gate, and what tells it then. */
const LANDS = {
  // Xen's grant copy asks for no type of page
  data_attack_hypercall: "compare",
  code_attack_hypercall: "compare",
  // Which page it is, the guest's own tables decide
  data_attack_swap: "compare",
} as const;

/** What must be told of `data_attack`. */
const stopped: ExpectedFinding = {
  rule: "XK-002",
  seen: "stop",
  method: "direct write",
  what: "sys_call_table",
  symbol: "shutdown_p",
  address: addressOf("shutdown_p"),
  expected: pointerTo("shutdown"),
  attempted: pointerTo("empty"),
  ipSymbol: /^data_attack\+/,
};

/** The guest's own system call, and what it calls, are as they were. */
async function assertCanBeShutDown(simpleos: SimpleOS): Promise<void> {
  await simpleos.send("shutdown");
  await simpleos.guest.waitForState((state) => state === undefined, 30_000);
}

/** Nothing keeps the guest from writing. */
async function assertWritable(simpleos: SimpleOS): Promise<void> {
  assertEquals(await simpleos.command("data_attack"), "done");
  assertEquals(await simpleos.command("shutdown"), "shutdown returned");
}

Deno.test("a write gate", async (t) => {
  await using lab = await startLab();

  await t.step(
    "keeps a PVH guest from writing to text and invariant data",
    async () => {
      await using fresh = await freshGuest(lab, PVH);
      await using monitor = await Monitor.start(lab, ...GUARD);
      const { regions } = await monitor.armed(fresh.domid);
      assert(regions!.length >= 3);
      assertEquals(
        new Set(regions!.map(({ rung }) => rung)),
        new Set(["gate"]),
      );
      await fresh.simpleos.waitForTick();
    },
  );

  await t.step(
    "stops data_attack before it lands, and tells it at once",
    async () => {
      await using fresh = await freshGuest(lab, PVH);
      const { simpleos, domid } = fresh;
      await using monitor = await Monitor.start(lab, ...GUARD, ...NO_PASSES);
      await monitor.armed(domid);
      await simpleos.send("data_attack");
      assertEquals((await monitor.response(domid)).response, "pause");
      assertEquals(await simpleos.guest.state(), "--p---");
      await assertFindings(await monitor.findings(domid), [stopped]);
      assertEquals((await monitor.stop()).code, 0);
      assertEquals(await hasJournal(lab, domid), true);
      await simpleos.guest.unpause();
      await assertCanBeShutDown(simpleos);
    },
  );

  let watcher: Monitor | undefined;
  for (const attack of ATTACKS) {
    const lands = attack in LANDS;
    await t.step(
      lands
        ? `does not stop ${attack}, which is found at the next pass`
        : `keeps ${attack} from landing`,
      async () => {
        await using fresh = await freshGuest(lab, PVH);
        const { simpleos, domid } = fresh;
        watcher ??= await Monitor.start(
          lab,
          ...[...GUARD, "--wait", "--on-attack", "report"],
        );
        await watcher.armed(domid);
        const checksum = await simpleos.command("checksum");
        await simpleos.command(attack);
        if (lands) {
          assertNotEquals(await simpleos.command("checksum"), checksum);
          const { seen } = await watcher.finding(domid);
          assertEquals(seen, LANDS[attack as keyof typeof LANDS]);
        } else {
          assertEquals(await simpleos.command("checksum"), checksum);
          await assertCanBeShutDown(simpleos);
        }
      },
    );
  }
  await watcher?.stop();

  await t.step("goes when the monitor ends", async () => {
    await using fresh = await freshGuest(lab, PVH);
    const { simpleos, domid } = fresh;
    const monitor = await Monitor.start(lab, ...GUARD);
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
        await using next = await Monitor.start(lab, ...GUARD);
        await next.notice(/an earlier monitor left .*writable again/);
      }],
    ] as const
  ) {
    await t.step(
      `a guest that waits for a monitor which was killed goes on by ${name}`,
      async () => {
        await using fresh = await freshGuest(lab, PVH);
        const { simpleos, domid } = fresh;
        await abandon(lab, domid, ...GUARD, ...NO_PASSES);
        const order = await simpleos.send("data_attack");
        await assertWaits(simpleos);
        await undo();
        assertEquals(await simpleos.answer(order), "done");
        assertEquals(await hasJournal(lab, domid), false);
        // The write that was waited for was dropped
        await assertCanBeShutDown(simpleos);
      },
    );
  }

  await t.step(
    "a guest that waits for a monitor goes on when that is killed",
    async () => {
      await using fresh = await freshGuest(lab, PVH);
      const { simpleos, domid } = fresh;
      const killed = await Monitor.start(lab, ...GUARD, ...NO_PASSES);
      await killed.armed(domid);
      await killed.job.signal("SIGSTOP");
      const order = await simpleos.send("data_attack");
      await assertWaits(simpleos);

      await killed.kill();
      assertEquals(await simpleos.answer(order), "done");
      assertEquals(await hasJournal(lab, domid), false);
      assertMatch(
        await killed.job.text("stderr"),
        /the monitor of simpleos was killed: .*writable again/,
      );
      await assertWritable(simpleos);
    },
  );
});
