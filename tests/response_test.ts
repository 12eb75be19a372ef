import { assertEquals, assertMatch } from "@std/assert";
import type { Lab } from "./lab/mod.ts";
import { poll } from "./lab/poll.ts";
import type { Attack } from "./simpleos/attacks.ts";
import type { SimpleOSType } from "./simpleos/start_simpleos.ts";
import { assertCanBeShutDown } from "./support/assert_can_be_shut_down.ts";
import { freshGuest } from "./support/fresh_guest.ts";
import { Monitor } from "./support/monitor.ts";
import { LIMIT, startLab } from "./support/start_lab.ts";

const GUARD = ["--dom", "simpleos", "--wait", "--interval", "0.5"];

/** Attacks that land in spite of how a guest is guarded. */
interface Landing {
  readonly type: SimpleOSType;
  readonly rungs: string;
  readonly attacks: readonly Attack[];
  /** What becomes of a plain write to what was put back. */
  readonly plainWrite: "blocked" | "done";
}

const LANDING: Readonly<Record<string, Landing>> = {
  "a PV guest": {
    type: "pv",
    rungs: "protect",
    attacks: [
      "data_attack_hypercall",
      "code_attack_hypercall",
      "data_attack_remap",
      "data_attack_swap",
      "code_attack_alias",
    ],
    plainWrite: "blocked",
  },
  "a PV guest whose data is locked": {
    type: "pv",
    rungs: "lock,protect",
    attacks: ["data_attack_swap"],
    plainWrite: "blocked",
  },
  "a PVH guest that nothing keeps from writing": {
    type: "pvh",
    rungs: "poll",
    attacks: ["data_attack", "data_attack_swap", "code_attack_remap"],
    plainWrite: "done",
  },
  "a PVH guest behind a write gate": {
    type: "pvh",
    rungs: "gate",
    attacks: ["data_attack_hypercall", "code_attack_hypercall"],
    plainWrite: "done",
  },
};

/** Asserts that a guest was put right so many times and not stopped for good. */
async function assertRestored(
  monitor: Monitor,
  domid: number,
  times: number,
): Promise<void> {
  const told = await poll(async () => {
    const responses = (await monitor.events()).filter(({ type, domain }) =>
      type === "response" && domain.id === domid
    );
    return responses.length < times ? undefined : responses;
  }, { timeoutMs: LIMIT, waitingFor: () => `${times} responses` });
  for (const { response, text } of told) {
    assertEquals(response, "restore", text);
  }
  assertEquals(told.length, times);
}

async function restoreSteps(
  t: Deno.TestContext,
  lab: Lab,
  { type, rungs, attacks, plainWrite }: Landing,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  let monitor: Monitor | undefined;
  for (const attack of attacks) {
    await t.step(`${attack} is undone, and the guest runs on`, async () => {
      await using fresh = await freshGuest(lab, { type });
      const { simpleos, domid } = fresh;
      monitor ??= stack.use(
        await Monitor.startAlone(
          lab,
          ...[...GUARD, "--on-attack", "restore", "--rungs", rungs],
        ),
      );
      await monitor.armed(domid);
      const checksum = await simpleos.command("checksum");

      assertEquals(await simpleos.command(attack), "done");
      await assertRestored(monitor, domid, 1);
      await simpleos.waitForTick();
      assertEquals(await simpleos.command("checksum"), checksum);
      // What was read-only is so again
      assertEquals(await simpleos.command("data_attack"), plainWrite);
      await assertRestored(monitor, domid, 2);
      await assertCanBeShutDown(simpleos);
    });
  }
}

Deno.test("what an attack changed is put back", async (t) => {
  await using lab = await startLab();
  for (const [name, landing] of Object.entries(LANDING)) {
    await t.step(`in ${name}`, (t) => restoreSteps(t, lab, landing));
  }

  await t.step(
    "a guest runs on whose change of a register is denied",
    async () => {
      await using fresh = await freshGuest(lab, { type: "pvh" });
      const { simpleos, domid } = fresh;
      await using monitor = await Monitor.startAlone(
        lab,
        ...[...GUARD, "--on-attack", "restore"],
      );
      await monitor.armed(domid);
      assertEquals(await simpleos.command("code_attack"), "blocked");
      const { response, text } = await monitor.response(domid);
      assertEquals(response, "restore");
      assertMatch(text!, /^nothing had landed; simpleos runs on$/);
      assertEquals((await monitor.finding(domid)).rule.id, "XK-013");
      await assertCanBeShutDown(simpleos);
    },
  );

  await t.step(
    "a rule of its own response stops no guest for others",
    async () => {
      await using fresh = await freshGuest(lab);
      const { simpleos, domid } = fresh;
      await using monitor = await Monitor.startAlone(
        lab,
        ...[...GUARD, "--rungs", "protect"],
        ...["--on-attack", "XK-001=restore,XK-002=report,pause"],
      );
      await monitor.armed(domid);
      await simpleos.command("data_attack_hypercall");
      assertEquals((await monitor.finding(domid)).rule.id, "XK-002");
      assertEquals(await simpleos.command("code_attack_hypercall"), "done");
      assertEquals((await monitor.response(domid)).response, "restore");
      // What is only reported is left alone
      assertEquals(await simpleos.command("shutdown"), "shutdown returned");
    },
  );

  await t.step("a blocked write is told, and the guest runs on", async () => {
    await using fresh = await freshGuest(lab, { type: "pvh" });
    const { simpleos, domid } = fresh;
    await using monitor = await Monitor.startAlone(
      lab,
      ...[...GUARD, "--on-attack", "block", "--rungs", "gate,poll"],
    );
    await monitor.armed(domid);
    await simpleos.command("data_attack");
    const { response, text } = await monitor.response(domid);
    assertEquals(response, "block");
    assertMatch(text!, /^simpleos runs on$/);
    await assertCanBeShutDown(simpleos);
  });

  await t.step(
    "evidence of an attack is kept, for people and machines",
    async () => {
      await using fresh = await freshGuest(lab);
      const { simpleos, domid } = fresh;
      await using monitor = await Monitor.startAlone(
        lab,
        ...[...GUARD, "--rungs", "protect", "--on-attack", "dump"],
      );
      await monitor.armed(domid);
      await simpleos.send("data_attack_hypercall");
      const { response, text, evidence } = await monitor.response(domid);
      assertEquals([response, await simpleos.guest.state()], [
        "dump",
        "--p---",
      ]);
      assertMatch(text!, /simpleos is paused; .*; evidence is in /);

      const { stdout } = await lab.run(["ls", evidence!]);
      const files = stdout.trim().split("\n");
      assertEquals(
        files.filter((name) =>
          !/^(found|trusted)-[0-9a-f]{16}\.bin$/.test(name)
        ),
        ["incident.html", "incident.json"],
      );
      assertEquals(files.length, 4);
      const page = await lab.run(["cat", `${evidence}/incident.html`]);
      assertMatch(page.stdout, /XK-002[^]*shutdown_p/);
      // xl makes no core of a PV guest that keeps no table of its frames
      assertMatch(page.stdout, /memory\.core[^]*xl dump-core/);
    },
  );
});
