import { assert, assertEquals } from "@std/assert";
import { bochs, type Guest, LINUX_KERNELS, linuxGuest } from "./lab/mod.ts";
import { attackLab } from "./linux/attacks/attack_lab.ts";
import { startAttacked } from "./linux/attacks/start_attacked.ts";
import { buildInside } from "./rungs/build_inside.ts";
import { Inside } from "./rungs/inside.ts";
import { LONG } from "./support/long.ts";
import { Monitor } from "./support/monitor.ts";
import { untilQuiet } from "./support/until_quiet.ts";

/** On Bochs all takes its time, ms. */
const LIMIT = 600_000;
const PROBED = "do_sys_openat2";
/** Nobody calls it meanwhile */
const ATTACKED = "kernel_halt";
const POKER = "text_poke";
const NOPS = "90".repeat(8);
/** What xkmon says where the trap does not hold. */
const WEAKENED = /not stopped/;

/** A probe within a function, where an instruction begins that can have one. */
const SET_PROBE = "cd /sys/kernel/tracing; for at in $(seq 6 60); do " +
  `echo p:mid ${PROBED}+$at >>kprobe_events && break; done; ` +
  "echo 1 >events/kprobes/mid/enable; echo probe is $(cat events/kprobes/mid/enable)";
const END_PROBE = "echo 0 >events/kprobes/mid/enable; " +
  "echo probe was $(cat events/kprobes/mid/enable)";

/** Where functions of the guest's kernel begin. */
async function addresses(guest: Guest, names: readonly string[]) {
  await guest.type(
    `grep -w ${names.map((name) => `-e ${name}`).join(" ")} /proc/kallsyms`,
  );
  const entries = await Promise.all(names.map(async (name) => {
    const [, address] = await guest.waitForConsole(
      new RegExp(`^([0-9a-f]{16}) \\w ${name}\r?$`, "m"),
      LIMIT,
    );
    return [name, BigInt(`0x${address}`)] as const;
  }));
  return new Map(entries);
}

Deno.test({
  name: "the text of a Linux guest behind a trap, on a processor of Intel",
  ignore: !LONG,
  fn: async (t) => {
    const linux = await linuxGuest("6.1");
    const module = await buildInside(linux.kernel, LINUX_KERNELS["6.1"].suite);
    await using lab = await attackLab(linux, await Inside.files(module), {
      emulator: bochs,
      bootTimeoutMs: LIMIT,
    });
    const guest = await startAttacked(lab, linux, "pvh");
    const known = await addresses(guest, [ATTACKED, POKER]);
    await using monitor = await Monitor.start(
      lab,
      ...["--dom", guest.name, "--on-attack", "report"],
    );
    const { regions } = await monitor.armed(undefined, LIMIT);
    await untilQuiet(monitor);
    const inside = await Inside.open(lab, guest);
    const place = known.get(ATTACKED)! + 16n;

    await t.step("is on the trap", () => {
      const text = regions!.find(({ name }) => name === "kernel text");
      assertEquals(text?.rung, "trap");
    });

    await t.step(
      "the kernel patches, which is no attack and weakens nothing",
      async () => {
        await guest.type(SET_PROBE);
        await guest.waitForConsole(/^probe is 1/m, LIMIT);
        // It is there: the next pass sees it
        await monitor.waitFor(
          "the probe",
          ({ instrumentation }) =>
            instrumentation?.by.startsWith("kprobe") &&
            instrumentation.symbol.startsWith(PROBED),
        );
        await guest.type(END_PROBE);
        await guest.waitForConsole(/^probe was 0/m, LIMIT);
        await untilQuiet(monitor);
        assertEquals(await monitor.findings(), []);
        const events = await monitor.events();
        assert(!events.some(({ text }) => WEAKENED.test(text ?? "")));
      },
    );

    await t.step("others do not write by another mapping", async () => {
      const order = `write alias ${place.toString(16)} ${NOPS}`;
      assertEquals((await inside.order(order)).result, "dropped");
      const [finding] = await monitor.findings();
      const { rule, seen, address } = finding!;
      assertEquals([rule.id, seen], ["XK-001", "stop"]);
      assertEquals(address, `0x${place.toString(16)}`);
    });

    await t.step(
      "nor by the kernel's own way where it does not write",
      async () => {
        const before = (await monitor.findings()).length;
        const poker = known.get(POKER)!.toString(16);
        // No answer comes: the kernel ends who finds that nothing was written
        await guest.type(
          `inside 99 poke ${poker} ${place.toString(16)} ${NOPS}`,
        );
        await monitor.waitFor(
          "a finding",
          ({ finding }) => finding?.attempted !== undefined,
        );
        await untilQuiet(monitor);
        // An instruction more may write the same again
        const found = (await monitor.findings()).slice(before);
        for (const { rule, seen, attempted, address } of found) {
          assertEquals([rule.id, seen, attempted], ["XK-001", "stop", NOPS]);
          assertEquals(address, `0x${place.toString(16)}`);
        }
      },
    );

    assertEquals((await monitor.stop()).code, 0);
  },
});
