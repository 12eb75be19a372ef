import { assert, assertEquals, assertNotEquals } from "@std/assert";
import type { Lab } from "./lab/mod.ts";
import { PVH_ATTACKS, type SimpleOS, startSimpleOS } from "./simpleos/guest.ts";
import { assertCannotBeShutDown } from "./support/assert_cannot_be_shut_down.ts";
import { assertFindings } from "./support/assert_findings.ts";
import { expectedPvhFindings } from "./support/expected_pvh_findings.ts";
import { freshGuest } from "./support/fresh_guest.ts";
import { lifeSteps } from "./support/life_steps.ts";
import { LONG } from "./support/long.ts";
import { Monitor } from "./support/monitor.ts";
import { runXkmon } from "./support/run_xkmon.ts";
import { SimpleOSFile } from "./support/simpleos_file.ts";
import { startLab } from "./support/start_lab.ts";

const GUARD = ["--dom", "simpleos"];
/** Whatever Xen could do for it */
const POLL = ["--rungs", "poll"];
/** All of it has its writes logged, and is looked at ten times a second. */
const DIRTY = ["--rungs", "dirty,poll", "--interval", "0.1"];
const LOGGED = new Set(["dirty"]);
/** Where the lab keeps the configuration of the last guest of the name. */
const CONFIG = "/share/guests/simpleos.cfg";

/** Seconds from one pass to the next, and a time in which there are several. */
const INTERVAL = "0.5";
const SEVERAL_PASSES = "sleep 2";

/** Pages of the spare window (layout.h) that the alias attacks map. */
const ALIASES = [0xffff_ffff_803f_1000n, 0xffff_ffff_803f_2000n] as const;
/** Of the gate of page faults in the interrupt table. */
const PAGE_FAULT_GATE = 14n * 16n;

const FRAME = 0x000f_ffff_ffff_f000n;
const WRITABLE = 2n;
const NO_EXECUTE = 1n << 63n;
const PRESENT_ACCESSED_DIRTY = 0x61n;

const gone = (state: string | undefined) => state === undefined;

/** The guest's own tables, as far as attacks change them. */
interface Tables {
  /** Page-table entries of what is attacked. */
  readonly data: bigint;
  readonly code: bigint;
  readonly aliases: readonly bigint[];
  /** Address of the page-fault handler, its lower 16 bits. */
  readonly handler: bigint;
}

/** What a guest has that nobody attacked: it depends on the kernel alone. */
function honestTables(file: SimpleOSFile): Tables {
  const page = (symbol: string) => file.address(symbol) & 0x7fff_f000n;
  return {
    data: page("sys_call_table") | PRESENT_ACCESSED_DIRTY | WRITABLE |
      NO_EXECUTE,
    code: page("shutdown") | PRESENT_ACCESSED_DIRTY,
    aliases: [0n, 0n],
    handler: file.address("native_page_fault_entry") & 0xffffn,
  };
}

async function readTables(
  simpleos: SimpleOS,
  file: SimpleOSFile,
): Promise<Tables> {
  const number = async (order: string, address: bigint) =>
    BigInt(`0x${await simpleos.command(`${order} ${address.toString(16)}`)}`);
  const [first, second] = ALIASES;
  const gate = file.address("idt_table") + PAGE_FAULT_GATE;
  return {
    data: await number("entry", file.address("sys_call_table")),
    code: await number("entry", file.address("shutdown")),
    aliases: [await number("entry", first), await number("entry", second)],
    handler: await number("peek", gate) & 0xffffn,
  };
}

/** What an attack leaves behind in the tables, besides the contents. */
const TRACES: Readonly<
  Record<
    typeof PVH_ATTACKS[number],
    (honest: Tables, file: SimpleOSFile) => Partial<Tables>
  >
> = {
  data_attack: () => ({}),
  code_attack: () => ({}),
  // It was writable before
  data_attack_remap: () => ({}),
  code_attack_remap: ({ code }) => ({ code: code | WRITABLE }),
  data_attack_hypercall: () => ({}),
  code_attack_hypercall: () => ({}),
  data_attack_alias: ({ data }) => ({ aliases: [data & ~NO_EXECUTE, 0n] }),
  code_attack_alias: ({ code }) => ({ aliases: [0n, code | WRITABLE] }),
  // Whatever page was free
  data_attack_swap: ({ data }) => ({ data: data & ~FRAME }),
  data_attack_populate: () => ({}),
  data_attack_move: () => ({}),
  mute_attack: ({ code }, file) => ({
    code: code | WRITABLE,
    handler: file.address("native_mute_fault_entry") & 0xffffn,
  }),
  // The kernel's own table stays as it is
  idt_attack: ({ code }) => ({ code: code | WRITABLE }),
};

async function typeOf(lab: Lab, name: string): Promise<string> {
  const { stdout } = await lab.run(["xl", "list", "--long", name]);
  return JSON.parse(stdout)[0].config.c_info.type;
}

/** As a PV guest it makes the others in the same ways, or not at all. */
const OWN_ATTACKS = [
  "data_attack_populate",
  "data_attack_move",
  "mute_attack",
  "idt_attack",
] as const;
const MADE = LONG ? PVH_ATTACKS : OWN_ATTACKS;
const FOUND = LONG
  ? PVH_ATTACKS
  : ["data_attack", "code_attack", ...OWN_ATTACKS] as const;

Deno.test("SimpleOS as a PVH guest with no monitor", async (t) => {
  await using lab = await startLab();
  const file = await SimpleOSFile.read();
  const honest = honestTables(file);
  const simpleos = await startSimpleOS(lab, { type: "pvh" });

  await t.step("boots as such a guest", async () => {
    assertEquals(await typeOf(lab, "simpleos"), "pvh");
    await simpleos.guest.waitForConsole(/boot, PVH, 8192 pages/);
  });

  await t.step("has text read-only and data not executable", async () => {
    assertEquals(await readTables(simpleos, file), honest);
  });

  await lifeSteps(t, simpleos);

  await t.step("shuts down when the toolstack asks", async () => {
    await simpleos.guest.shutdown(30_000);
  });

  for (const memoryMiB of [16, 300]) {
    await t.step(
      `shuts down by its system call, with ${memoryMiB} MiB`,
      async () => {
        const simpleos = await startSimpleOS(lab, { type: "pvh", memoryMiB });
        await simpleos.send("shutdown");
        await simpleos.guest.waitForState(gone, 30_000);
      },
    );
  }

  for (const attack of MADE) {
    await t.step(`${attack} does what it says, and no more`, async () => {
      await using fresh = await freshGuest(lab, { type: "pvh" });
      const { simpleos } = fresh;
      const checksum = await simpleos.command("checksum");
      assertEquals(await simpleos.command(attack), "done");
      assertEquals(await simpleos.state(), `attacked ${attack}`);
      assertNotEquals(await simpleos.command("checksum"), checksum);

      const { data, ...others } = await readTables(simpleos, file);
      const isSwapped = (data & FRAME) !== (honest.data & FRAME);
      assertEquals(
        { ...others, data: isSwapped ? data & ~FRAME : data },
        { ...honest, ...TRACES[attack](honest, file) },
      );
      await assertCannotBeShutDown(simpleos);
    });
  }

  await t.step(
    "a plain store into text is stopped, and the guest lives on",
    async () => {
      await using fresh = await freshGuest(lab, { type: "pvh" });
      const { simpleos } = fresh;
      const checksum = await simpleos.command("checksum");
      assertEquals(await simpleos.command("code_attack_store"), "blocked");
      assertEquals(await simpleos.command("checksum"), checksum);
      await simpleos.send("shutdown");
      await simpleos.guest.waitForState(gone, 30_000);
    },
  );
});

Deno.test("xkmon guards SimpleOS as a PVH guest by comparing", async (t) => {
  await using lab = await startLab();
  let monitor: Monitor | undefined;

  await t.step("what is honest is no attack", async () => {
    await using fresh = await freshGuest(lab, { type: "pvh" });
    const { simpleos, domid } = fresh;
    await using monitor = await Monitor.startAlone(
      lab,
      ...[...GUARD, ...POLL, "--interval", INTERVAL],
    );
    const { entries } = await monitor.armed(domid);
    assertEquals(entries, 0);
    assertEquals(await simpleos.command("load_on"), "load on");
    await lab.run(SEVERAL_PASSES);
    assertEquals(await monitor.findings(domid), []);
    const scan = await runXkmon(lab, "scan", ...GUARD);
    assert(/scan: clean\n$/.test(scan.stdout), scan.stdout);
    assertEquals((await monitor.stop()).stderr, "");
    await simpleos.waitForTick();
  });

  await t.step(
    "it is started and guarded once it has page tables",
    async () => {
      await using monitor = await Monitor.start(lab, "start", CONFIG, ...POLL);
      const { domain } = await monitor.armed();
      await monitor.notice(/waits for the guest's kernel to come up/);
      assertEquals(await monitor.findings(domain.id), []);
      await monitor.stop();
      await lab.run(["xl", "destroy", "simpleos"]);
    },
  );

  for (const attack of FOUND) {
    await t.step(`${attack} is caught and told once`, async () => {
      await using fresh = await freshGuest(lab, { type: "pvh" });
      const { simpleos, domid } = fresh;
      monitor ??= await Monitor.startAlone(
        lab,
        ...[...GUARD, ...POLL, "--wait", "--interval", INTERVAL],
      );
      await monitor.armed(domid);
      await simpleos.send(attack);
      assertEquals((await monitor.response(domid)).response, "pause");
      assertEquals(await simpleos.guest.state(), "--p---");
      await simpleos.guest.unpause();
      await simpleos.waitForTick();
      await lab.run(SEVERAL_PASSES);
      await assertFindings(
        await monitor.findings(domid),
        expectedPvhFindings[attack],
      );
    });
  }

  await t.step(
    "a plain store into text is told by the fault channel",
    async () => {
      await using fresh = await freshGuest(lab, { type: "pvh" });
      const { simpleos, domid } = fresh;
      await monitor!.armed(domid);
      await simpleos.send("code_attack_store");
      await monitor!.response(domid);
      await assertFindings(await monitor!.findings(domid), [{
        rule: "XK-001",
        seen: "fault",
        method: "direct write",
        what: "kernel text",
        symbol: "shutdown",
        ipSymbol: /^code_attack_store\+/,
      }]);
    },
  );

  await t.step("the monitor that saw them all ends in good order", async () => {
    const { code, stderr } = await monitor!.stop();
    assertEquals([code, stderr], [0, ""]);
  });

  await t.step(
    "what was written to is found where nothing else is compared, again and again",
    async () => {
      await using fresh = await freshGuest(lab, { type: "pvh" });
      const { simpleos, domid } = fresh;
      const start = async () => {
        const started = await Monitor.startAlone(
          lab,
          ...[...GUARD, ...DIRTY, "--on-attack", "report"],
        );
        const { regions } = await started.armed(domid);
        assertEquals(new Set(regions!.map(({ rung }) => rung)), LOGGED);
        return started;
      };
      {
        // Xen would not let the next one begin a log if this one left its own
        await using first = await start();
        assertEquals((await first.stop()).stderr, "");
      }
      await using second = await start();
      for (const attack of ["data_attack", "code_attack"] as const) {
        assertEquals(await simpleos.command(attack), "done");
        const [expected] = expectedPvhFindings[attack];
        await second.waitFor(
          `a finding of ${attack}`,
          ({ finding }) => finding?.symbol === expected!.symbol,
        );
      }
      await assertFindings(await second.findings(domid), [
        ...expectedPvhFindings.data_attack,
        ...expectedPvhFindings.code_attack,
      ]);
      const lost = (await second.events()).filter(({ text = "" }) =>
        /everything is compared|not all changes/.test(text)
      );
      assertEquals(lost, []);
      assertEquals((await second.stop()).stderr, "");
    },
  );
});
