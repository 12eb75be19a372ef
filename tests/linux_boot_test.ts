import { assert, assertEquals, assertMatch } from "@std/assert";
import { isBootLoader } from "../guestos/boot_loader.ts";
import { grubImage, type Guest, type Lab, linuxGuest } from "./lab/mod.ts";
import { attackLab, KERNEL } from "./linux/attacks/attack_lab.ts";
import { Attacker } from "./linux/attacks/attacker.ts";
import { assertRefused } from "./support/assert_refused.ts";
import { Monitor } from "./support/monitor.ts";
import type { PrintedEvent } from "./support/printed_event.ts";
import { runXkmon } from "./support/run_xkmon.ts";

const GRUB = "/boot/grub";
const NAME = "moved";
/** Where the kernel is linked to, and runs if nothing moves it. */
const LINKED = 0xffffffff81000000n;
/** In the emulator kernels are slow, ms. */
const LIMIT = 240_000;

/** Starts a guest whose kernel has moved, and asks it where that is. */
async function movedGuest(lab: Lab, memory: number): Promise<[Guest, bigint]> {
  const config = { name: NAME, type: "pvh", kernel: GRUB, memory };
  // Of about 500 places that it chooses from, one is where it is linked to
  for (let tries = 0; tries < 3; tries++) {
    const guest = await lab.createGuest(config);
    await guest.waitForConsole(/guest ready/, LIMIT);
    await guest.type('grep " _text$" /proc/kallsyms');
    const [, text] = await guest.waitForConsole(/^(\w{16}) T _text/m, LIMIT);
    const base = BigInt(`0x${text}`);
    if (base !== LINKED) return [guest, base];
    await guest.destroy();
  }
  throw new Error("the kernel does not move");
}

function notices(events: readonly PrintedEvent[]): string[] {
  return events.flatMap(({ type, text }) => type === "notice" ? [text!] : []);
}

Deno.test("a kernel that GRUB loaded and that moved itself", async (t) => {
  const linux = await linuxGuest("6.1");
  const image = await grubImage(linux, "pvh");
  await using lab = await attackLab(linux);
  await lab.put(image, GRUB);
  const [guest, base] = await movedGuest(lab, linux.config.pvh.memory);
  const domid = await guest.domid();
  await using attacker = await Attacker.start(lab, NAME);

  for (
    const [what, options, source] of [
      ["its file", ["--kernel", KERNEL], "kernel file"],
      ["itself", [], "first reading"],
    ] as const
  ) {
    await t.step(
      `is guarded by ${what}, and a change of one bit is found`,
      async () => {
        await using monitor = await Monitor.start(
          lab,
          ...["--dom", NAME, "--on-attack", "report", ...options],
        );
        const { regions } = await monitor.armed(undefined, LIMIT);
        assertEquals(regions![0]!.source, source);
        const told = notices(await monitor.events());
        const where = `kernel at 0x${base.toString(16)} by LSTAR, `;
        assert(told.some((text) => text.startsWith(where)), told.join("\n"));
        assertEquals(
          told.filter((text) => text.includes("boot loader")),
          options.length > 0 ? [] : [
            `${GRUB}, which xl booted, is a boot loader and not the kernel: the ` +
            "first reading of text and data is trusted where the kernel's own " +
            "tables do not contradict it; name the kernel's file with --kernel " +
            "FILE",
          ],
        );
        const { places } = await attacker.command("text-byte");
        const finding = await monitor.finding(domid);
        assertEquals(finding.rule.id, "XK-001");
        assertEquals(BigInt(finding.address), BigInt(places![0]![0]));
        assertEquals((await attacker.command("undo")).wasThere, true);
        assertEquals((await monitor.stop()).code, 0);
        // That one, and before and after it nothing
        assertEquals((await monitor.findings()).length, 1);
      },
    );
  }

  await t.step("is not judged by GRUB if that is named", async () => {
    const result = await runXkmon(
      lab,
      ...["scan", "--dom", NAME, "--kernel", GRUB],
    );
    assertRefused(result, /only 64-bit little-endian files are understood/);
  });

  await t.step("is not started by xkmon, which says what to do", async () => {
    const config = `/share/guests/${NAME}.cfg`;
    const result = await runXkmon(lab, "start", config);
    assertRefused(result, /is a boot loader, .*xkmon --dom NAME --kernel FILE/);
  });
});

Deno.test("a kernel that dies as it boots", async (t) => {
  const linux = await linuxGuest("6.1");
  await using lab = await attackLab(linux);
  const guest = await lab.createGuest({
    ...linux.config.pvh,
    name: "dying",
    kernel: KERNEL,
    // Too little for all that it does before it protects its text
    extra: `${linux.config.pvh.extra} mem=48M`,
    on_crash: "preserve",
  });
  const onlyDeath = async (monitor: Monitor) => {
    const { text } = await monitor.notice(/gone/);
    assertEquals(text, "guest is gone: crash");
    assertEquals(await monitor.findings(), []);
  };

  await t.step("is waited for until it is dead, and not accused", async () => {
    await using monitor = await Monitor.start(lab, "--dom", "dying");
    await onlyDeath(monitor);
  });

  await t.step("is nothing to guard when it is dead", async () => {
    assertMatch((await guest.state())!, /^---sc/);
    await using monitor = await Monitor.start(lab, "--dom", "dying");
    await onlyDeath(monitor);
  });

  await t.step("gets no verdict, since it was not up", async () => {
    const { code, stderr } = await runXkmon(lab, "scan", "--dom", "dying");
    assertMatch(stderr, /\(boot\): it went down before it was up/);
    assertEquals(code, 2);
  });
});

Deno.test("GRUB is told from kernels, for PV and PVH guests", async () => {
  const linux = await linuxGuest("6.1");
  const isLoader = async (path: string) =>
    isBootLoader(await Deno.readFile(path));
  for (const type of ["pv", "pvh"] as const) {
    assertEquals(await isLoader(await grubImage(linux, type)), true);
  }
  assertEquals(await isLoader(linux.kernel.image), false);
  assertEquals(await isLoader(linux.kernel.vmlinux), false);
});
