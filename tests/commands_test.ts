import {
  assert,
  assertEquals,
  assertMatch,
  assertStringIncludes,
} from "@std/assert";
import { poll } from "./lab/poll.ts";
import { buildSimpleOS } from "./simpleos/guest.ts";
import { assertGuests } from "./support/assert_guests.ts";
import { assertRefused } from "./support/assert_refused.ts";
import { freshGuest } from "./support/fresh_guest.ts";
import { guardians } from "./support/guardians.ts";
import { hasJournal } from "./support/has_journal.ts";
import { Monitor } from "./support/monitor.ts";
import type { PrintedEvent } from "./support/printed_event.ts";
import { putShiftedKernel } from "./support/shifted_kernel.ts";
import { runXkmon } from "./support/run_xkmon.ts";
import { LIMIT, startLab } from "./support/start_lab.ts";

const GUARD = ["--dom", "simpleos"];
const KERNEL = "/root/simpleos.elf";
const MOVED = "/root/moved.elf";
const SHIFTED = "/root/shifted.elf";
/** Where the lab keeps the configuration of the last guest of the name. */
const CONFIG = "/share/guests/simpleos.cfg";

function readEvents(stdout: string): PrintedEvent[] {
  return stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
}

Deno.test("looking at a guest", async (t) => {
  await using lab = await startLab();

  await t.step("info tells memory, virtual CPUs and devices", async () => {
    await using fresh = await freshGuest(lab, { memoryMiB: 48 });
    const { code, stdout, stderr } = await runXkmon(lab, "info", ...GUARD);
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, RegExp(`^simpleos \\(domain ${fresh.domid}, [0-9a-f]`));
    const xen = await lab.run("xl info xen_version");
    assertStringIncludes(stdout, `PV guest on Xen ${xen.stdout.trim()}\n`);
    assertMatch(stdout, RegExp(`kernel +${KERNEL}\n`));
    assertMatch(stdout, /memory +12288 pages \(49152 KiB\)/);
    assertMatch(stdout, /vcpu +0: (blocked|runnable|running) on CPU 0, ran \d/);
    assertMatch(stdout, /device +console 0: .*, backend in domain 0/);

    const json = await runXkmon(lab, "info", "--json", ...GUARD);
    const { kernel, domain, vcpus, devices } = JSON.parse(json.stdout);
    assertEquals(kernel, KERNEL);
    assertEquals([domain.id, domain.pages], [fresh.domid, 12288]);
    assertEquals([vcpus.length, devices[0].kind], [1, "console"]);
  });

  await t.step("doctor tells how a guest can be protected", async () => {
    await using fresh = await freshGuest(lab);
    const { code, stdout, stderr } = await runXkmon(lab, "doctor");
    assertEquals([code, stderr], [0, ""]);
    assertMatch(stdout, /^Xen 4\.\d+\.\d+.*, .*libxenctrl/);
    assertMatch(
      stdout,
      RegExp(`simpleos \\(domain ${fresh.domid}\\): PV guest`),
    );
    assertMatch(stdout, /^ +trap +no: of PVH and HVM guests only$/m);
    assertMatch(stdout, /^ +lock +yes: /m);
    const json = await runXkmon(lab, "doctor", "--json", ...GUARD);
    const { guests } = JSON.parse(json.stdout);
    assertEquals(guests.length, 1);
    assertEquals(
      guests[0].outlook.filter((found: { unavailable?: string }) =>
        found.unavailable === undefined
      ).map(({ means }: { means: string }) => means),
      ["lock", "protect", "poll"],
    );
  });

  await t.step("scan tells clean from tampered, and what was", async () => {
    await using fresh = await freshGuest(lab);
    const { simpleos, domid } = fresh;
    const clean = await runXkmon(lab, "scan", ...GUARD);
    assertMatch(clean.stdout, /scan: clean\n$/);
    assertEquals([clean.code, clean.stderr], [0, ""]);

    assertEquals(await simpleos.command("data_attack"), "done");
    assertEquals(await simpleos.command("code_attack"), "done");
    const tampered = await runXkmon(lab, "scan", "--json", ...GUARD);
    const events = readEvents(tampered.stdout);
    assertEquals(
      events.flatMap(({ finding }) =>
        finding ? [[finding.rule.id, finding.symbol]] : []
      ),
      [["XK-001", "shutdown"], ["XK-002", "shutdown_p"]],
    );
    assertEquals(events.at(-1)!.text, "scan: tampered");
    assertEquals([tampered.code, tampered.stderr], [1, ""]);

    assertEquals(await hasJournal(lab, domid), false);
    await simpleos.waitForTick();
  });

  await t.step("scan finds a fault handler that was replaced", async () => {
    await using fresh = await freshGuest(lab);
    assertEquals(await fresh.simpleos.command("mute_attack"), "done");
    const { code, stdout } = await runXkmon(lab, "scan", "--json", ...GUARD);
    assertEquals(code, 1);
    const rules = readEvents(stdout).flatMap(({ finding }) =>
      finding ? [finding.rule.id] : []
    );
    assertEquals(rules, ["XK-002", "XK-004"]);
  });

  await t.step("a kernel and a profile that are named are used", async () => {
    await using fresh = await freshGuest(lab);
    const { simpleos, domid } = fresh;
    // The recorded kernel is not there any more
    await lab.run(["mv", KERNEL, MOVED]);
    const named = [...GUARD, "--kernel", MOVED, "--profile", "simpleos"];
    const scan = await runXkmon(lab, "scan", ...named);
    assertMatch(scan.stdout, /kernel file \/root\/moved\.elf is not enrolled/);
    assertMatch(scan.stdout, /scan: clean\n$/);
    assertEquals([scan.code, scan.stderr], [0, ""]);

    await using monitor = await Monitor.startAlone(lab, ...named);
    const { regions } = await monitor.armed(domid);
    assert(regions!.every(({ source }) => source === "kernel file"));
    await monitor.notice(/kernel file \/root\/moved\.elf is not enrolled/);
    assertEquals((await monitor.stop()).code, 0);
    await simpleos.waitForTick();
  });

  await t.step("scan says so if it could not tell", async () => {
    await using fresh = await freshGuest(lab);
    const shifted = await putShiftedKernel(lab, SHIFTED);
    const { code, stdout, stderr } = await runXkmon(
      lab,
      ...["scan", "--json", ...GUARD, "--kernel", SHIFTED],
    );
    const events = readEvents(stdout);
    const unreadable = events.flatMap(({ unreadable }) => unreadable ?? []);
    for (
      const [rule, symbol] of [
        ["XK-001", "_text"],
        ["XK-002", "sys_call_table"],
        ["XK-002", "console_file_operations"],
      ] as const
    ) {
      const address = `0x${shifted.symbol(symbol).address.toString(16)}`;
      const told = unreadable.filter((place) =>
        place.rule.id === rule && place.address === address
      );
      assertEquals(told.length, 1, `${symbol} is not told once in ${stdout}`);
      assertMatch(told[0]!.reason, /^not-present/);
    }
    assertEquals(events.filter(({ type }) => type === "finding"), []);
    assertEquals(events.at(-1)!.text, "scan: could not tell");
    assertEquals([code, stderr], [2, ""]);

    const text = await runXkmon(lab, "scan", ...GUARD, "--kernel", SHIFTED);
    assertMatch(text.stdout, / CANNOT TELL XK-001 /);
    assertMatch(text.stdout, / CANNOT TELL XK-002 /);
    assertMatch(text.stdout, /scan: could not tell\n$/);
    assertEquals([text.code, text.stderr], [2, ""]);
    await fresh.simpleos.waitForTick();
  });

  await t.step(
    "a first reading is trusted if asked for, and named",
    async () => {
      await using fresh = await freshGuest(lab);
      const { simpleos, domid } = fresh;
      await using monitor = await Monitor.startAlone(
        lab,
        ...[...GUARD, "--trust-first-reading"],
      );
      const { regions } = await monitor.armed(domid);
      assert(regions!.every(({ source }) => source === "first reading"));
      assertEquals(
        Object.keys(regions![0]!),
        ["name", "kind", "rung", "start", "pages", "source", "sha256"],
      );
      await monitor.notice(/first reading of the guest's memory is trusted/);
      await simpleos.send("code_attack_hypercall");
      await monitor.response(domid);
      const [finding] = await monitor.findings(domid);
      assertEquals([finding!.rule.id, finding!.symbol], ["XK-001", "shutdown"]);
    },
  );
});

Deno.test("enrolling and starting a guest", async (t) => {
  await using lab = await startLab();
  await lab.put(await buildSimpleOS(), KERNEL, 0o644);
  // Writes the configuration
  await using _configured = await freshGuest(lab);
  await lab.run(["xl", "destroy", "simpleos"]);

  await t.step(
    "a kernel that is not enrolled starts, and is named",
    async () => {
      await using monitor = await Monitor.start(lab, "start", CONFIG);
      await monitor.armed();
      await monitor.notice(/simpleos\.elf is not enrolled/);
      assertEquals((await monitor.stop()).code, 0);
      await assertGuests(lab, "simpleos");
      await lab.run(["xl", "destroy", "simpleos"]);
    },
  );

  await t.step("enroll tells the digests", async () => {
    const { code, stdout } = await runXkmon(lab, "enroll", KERNEL);
    const digests = await lab.run(
      `md5sum ${KERNEL} | cut -d' ' -f1; sha256sum ${KERNEL} | cut -d' ' -f1`,
    );
    const [md5, sha256] = digests.stdout.split("\n");
    assertEquals(
      stdout,
      `${KERNEL}: enrolled, MD5 ${md5}, SHA-256 ${sha256}\n`,
    );
    assertEquals(code, 0);
  });

  await t.step("a guest is guarded from its first instruction on", async () => {
    await using monitor = await Monitor.start(lab, "start", CONFIG);
    const { domain } = await monitor.armed();
    const events = await monitor.events();
    assertEquals(
      events.flatMap(({ type, phase }) => type === "armed" ? [phase] : []),
      ["booting", "running"],
    );
    assertMatch(events[0]!.text!, /simpleos\.elf is as enrolled on 20/);

    await lab.run([
      "xenstore-write",
      `/local/domain/${domain.id}/data/command`,
      "1 code_attack",
    ]);
    await monitor.response(domain.id);
    const [finding, ...more] = await monitor.findings();
    assertEquals([finding!.rule.id, finding!.symbol], ["XK-001", "shutdown"]);
    assertEquals(more, []);
    assertMatch((await lab.run("xl list simpleos")).stdout, / --p--- /);
    await lab.run(["xl", "destroy", "simpleos"]);
    assertEquals((await monitor.ended()).code, 0);
  });

  await t.step(
    "a guest whose monitor is killed before it guards it does not stay paused",
    async () => {
      await using monitor = await Monitor.start(lab, "start", CONFIG);
      // Until then nobody is there who could know of it
      await poll(async () => (await guardians(lab)).length > 0 || undefined, {
        timeoutMs: LIMIT,
        waitingFor: () => "a guardian",
      });
      await monitor.kill();
      assertEquals(
        (await monitor.events()).filter(({ type }) => type === "armed"),
        [],
      );
      await poll(
        async () =>
          /never ran, is destroyed/.test(await monitor.job.text("stderr")) ||
          undefined,
        { timeoutMs: LIMIT, waitingFor: () => "the guardian" },
      );
      await assertGuests(lab);
    },
  );

  await t.step("a changed kernel file is refused, nothing starts", async () => {
    await lab.run(`cp ${KERNEL} /root/good.elf; printf x >>${KERNEL}`);
    assertRefused(
      await runXkmon(lab, "start", CONFIG),
      /simpleos\.elf is not the kernel file that was enrolled on 20/,
    );
    await assertGuests(lab);
  });

  await t.step("nor is a running guest judged by that file", async () => {
    await lab.run(["xl", "create", CONFIG]);
    assertRefused(
      await runXkmon(lab, ...GUARD),
      /simpleos\.elf is not the kernel file that was enrolled on 20/,
    );
    const domid = Number((await lab.run("xl domid simpleos")).stdout);
    assertEquals(await hasJournal(lab, domid), false);
    await lab.run(`mv /root/good.elf ${KERNEL}`);
    assertEquals((await runXkmon(lab, "scan", ...GUARD)).code, 0);
    await lab.run(["xl", "destroy", "simpleos"]);
  });
});
