import { assertEquals, assertMatch } from "@std/assert";
import { type Guest, type Lab, linuxGuest } from "./lab/mod.ts";
import { poll } from "./lab/poll.ts";
import { attackLab } from "./linux/attacks/attack_lab.ts";
import { Attacker } from "./linux/attacks/attacker.ts";
import { startAttacked } from "./linux/attacks/start_attacked.ts";
import { LONG } from "./support/long.ts";
import { Monitor } from "./support/monitor.ts";
import type { PrintedEvent } from "./support/printed_event.ts";
import { untilQuiet } from "./support/until_quiet.ts";

/** In the emulator all takes its time, ms. */
const ARM_LIMIT = 600_000;
const RESPONSE_LIMIT = 120_000;

/** Differ little from the others. */
const MORE = LONG
  ? [
    "syscall-branch",
    "hook-untraced",
    "static-call-key",
    "file-operations",
    "text-swapped",
    "btf-offset",
  ]
  : [];

/** One of each kind of change, and one that cannot be undone. */
const ATTACKS = {
  pv: {
    restored: ["hook-traced", "rodata-remapped", ...MORE],
    hopeless: "trap-handler",
  },
  pvh: {
    restored: [
      "syscall-table-slot",
      "jump-label-flipped",
      "rodata-remapped",
      "module-text",
      ...MORE,
    ],
    hopeless: "cr0-wp",
  },
} as const;

/** Makes an attack, and waits for the response to it. */
async function attacked(
  attacker: Attacker,
  monitor: Monitor,
  name: string,
): Promise<PrintedEvent> {
  const before = (await monitor.events()).length;
  await attacker.command(name);
  return await poll(
    async () =>
      (await monitor.events()).slice(before).find(({ type }) =>
        type === "response"
      ),
    {
      timeoutMs: RESPONSE_LIMIT,
      waitingFor: () => `a response to ${name}`,
    },
  );
}

/** The guest still does what it is told. */
async function assertAnswers(guest: Guest, question: number): Promise<void> {
  await guest.type(`echo sum is $((${question} + 1000))`);
  await guest.waitForConsole(new RegExp(`^sum is ${question + 1000}`, "m"));
}

async function restoreSteps(
  t: Deno.TestContext,
  lab: Lab,
  guest: Guest,
  { restored, hopeless }: (typeof ATTACKS)["pv" | "pvh"],
): Promise<void> {
  await using monitor = await Monitor.start(
    lab,
    ...["--dom", guest.name, "--on-attack", "restore", "--interval", "0.5"],
    // Dom0 writes past whatever stops the guest, and cannot write to a lock
    ...["--rungs", "poll"],
  );
  await monitor.armed(undefined, ARM_LIMIT);
  await using attacker = await Attacker.start(lab, guest.name);
  for (const [question, name] of restored.entries()) {
    await t.step(`${name} is undone, and the guest runs on`, async () => {
      const { response, text } = await attacked(attacker, monitor, name);
      assertEquals(response, "restore", text);
      assertMatch(text!, /^what was changed is put back, and verified/);
      const { wasThere } = await attacker.command("undo");
      assertEquals(wasThere, false);
      await assertAnswers(guest, question);
      // What the kernel changes by itself is none of it
      const before = (await monitor.findings()).length;
      await untilQuiet(monitor);
      assertEquals((await monitor.findings()).length, before);
    });
  }

  await t.step(`${hopeless} is left, and the guest stays paused`, async () => {
    const { response, text } = await attacked(attacker, monitor, hopeless);
    assertEquals(response, "pause", text);
    assertMatch(text!, /cannot be restored/);
    assertMatch(await guest.state() ?? "gone", /p/);
    const { wasThere } = await attacker.command("undo");
    assertEquals(wasThere, true);
  });
}

Deno.test("what an attack changed in Linux is put back", async (t) => {
  const linux = await linuxGuest("6.1");
  await using lab = await attackLab(linux);
  for (const type of ["pv", "pvh"] as const) {
    const guest = await startAttacked(lab, linux, type);
    await t.step(
      `in a ${type.toUpperCase()} guest`,
      (t) => restoreSteps(t, lab, guest, ATTACKS[type]),
    );
    await guest.destroy();
  }
});
