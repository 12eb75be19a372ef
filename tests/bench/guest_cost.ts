/**
 * What xkmon costs a Linux guest, `deno task bench-guest`: the same work in the
 * guest while xkmon runs and while it is stopped, in short turns, as the speed
 * of an emulated guest drifts. Prints a table in Markdown.
 *
 * Work is measured in two ways. By the clock of the guest: what its users feel,
 * and what all else spoils that the host does. By the processor: the time for
 * which the host ran the emulator's thread for it, in which other work of the
 * host is not counted; nor is the time for which xkmon holds the guest, as the
 * thread sleeps then, so that it is divided by the share of the time that Xen
 * let the guest run. A busy host makes each hold longer, hence that share
 * smaller: the ratio errs to xkmon's disadvantage only.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { Lab, linuxGuest, type LinuxGuestType, qemu } from "../lab/mod.ts";
import { buildXkmon } from "../support/build_xkmon.ts";
import { Monitor } from "../support/monitor.ts";
import { refuseOption } from "../support/refuse_option.ts";
import { XKMON } from "../support/start_lab.ts";
import { busyText } from "./busy_text.ts";
import { GuestLoad, type Work } from "./guest_load.ts";
import { loadRamdisk } from "./load_ramdisk.ts";
import { machineText } from "./machine_text.ts";
import { quantile } from "./statistics.ts";

const KERNEL = "/boot/vmlinuz";
const RAMDISK = "/boot/initrd";
const TYPES: readonly LinuxGuestType[] = ["pv", "pvh"];
/** Processors of the lab */
const DOM0_CPU = 0;
const OTHER_CPU = 1;

/** Turns of each kind: the median of that many ratios varies little */
const PAIRS = 40;
const WINDOW_SECONDS = 5;
const WARM_UP_MS = 10_000;
/** Before the first turn: code is compiled */
const SETTLE_MS = 20_000;
const ARM_LIMIT = 300_000;
const EXPECTED_RATIO = 1.01;
/** What xkmon says at its end */
const PASSES = /after (\d+) passes/;

/** What was measured while xkmon was stopped and while it ran. */
interface Pair {
  readonly without: Work;
  readonly guarded: Work;
}

/** What was measured in one place. */
interface Part {
  readonly pairs: readonly Pair[];
  /** Passes of xkmon in a minute of its turns */
  readonly passes: number;
}

/** A line of the table. */
interface Measure {
  readonly what: string;
  readonly of: (work: Work) => number;
  readonly digits: number;
  readonly isRatio: boolean;
  readonly expected?: boolean;
}

const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Each kind of turn comes first as often as the other. */
async function measurePart(
  lab: Lab,
  load: GuestLoad,
  count: number,
  windowMs: number,
): Promise<Part> {
  // A guardian kills what is stopped
  await using monitor = await Monitor.startAlone(
    lab,
    ...["--dom", load.guest.name, "--on-attack", "report", "--interval", "1"],
  );
  await monitor.armed(undefined, ARM_LIMIT);
  const start = Date.now();
  await delay(SETTLE_MS);
  const guardedTurn = () => load.work(windowMs);
  const otherTurn = async () => {
    await monitor.job.signal("SIGSTOP");
    const work = await load.work(windowMs);
    await monitor.job.signal("SIGCONT");
    return work;
  };
  const pairs: Pair[] = [];
  let stopped = 0;
  for (let index = 0; index < count; index++) {
    const guardedFirst = index % 2 === 0;
    const early = guardedFirst ? await guardedTurn() : undefined;
    const before = Date.now();
    const without = await otherTurn();
    stopped += Date.now() - before;
    pairs.push({ without, guarded: early ?? await guardedTurn() });
  }
  const minutes = (Date.now() - start - stopped) / 60_000;
  const { code } = await monitor.stop();
  const { text } = await monitor.notice(PASSES);
  const findings = await monitor.findings();
  if (code !== 0 || findings.length > 0) {
    throw new Error(`xkmon: ${code}, ${JSON.stringify(findings)}`);
  }
  return { pairs, passes: Number(text!.match(PASSES)![1]) / minutes };
}

function renderPairs(
  pairs: readonly Pair[],
  { what, of, digits, isRatio, expected }: Measure,
): string {
  const median = (figures: number[]) => quantile(figures, 0.5);
  // What is lost comes in hundredths of a second: most turns have none
  const mean = (figures: number[]) =>
    figures.reduce((sum, figure) => sum + figure, 0) / figures.length;
  const usual = isRatio ? median : mean;
  const without = pairs.map((pair) => of(pair.without));
  const guarded = pairs.map((pair) => of(pair.guarded));
  const ratios = guarded.map((figure, index) => figure / without[index]!);
  const middle = [0.25, 0.75].map((part) => quantile(ratios, part));
  return `| ${
    [
      what,
      usual(without).toFixed(digits),
      usual(guarded).toFixed(digits),
      isRatio ? median(ratios).toFixed(3) : "",
      isRatio ? middle.map((ratio) => ratio.toFixed(3)).join(" to ") : "",
      expected ? `at most ${EXPECTED_RATIO}` : "",
    ].join(" | ")
  } |`;
}

const USAGE = "[--pairs N] [--seconds N]";
const options = parseArgs(Deno.args, {
  string: ["pairs", "seconds"],
  unknown: refuseOption(USAGE),
});
const count = Number(options.pairs ?? PAIRS);
const windowMs = 1000 * Number(options.seconds ?? WINDOW_SECONDS);
if (!(count >= 1 && windowMs >= 1000)) {
  console.error(`bench-guest: ${USAGE}`);
  Deno.exit(2);
}

const { kernel, config } = await linuxGuest("6.1");
await using lab = await Lab.start({
  cpus: 2,
  memoryMiB: 3584,
  dom0MemoryMiB: 1792,
  emulator: {
    ...qemu,
    command: (machine) => [
      ...qemu.command(machine),
      ...["-name", "lab,debug-threads=on"],
    ],
  },
  files: [
    { from: await buildXkmon(), to: XKMON, mode: 0o755 },
    { from: kernel.image, to: KERNEL },
    { from: await loadRamdisk(), to: RAMDISK },
  ],
});
await lab.run(["xl", "vcpu-pin", "Domain-0", "0", `${DOM0_CPU}`]);

const lines: string[] = [];
const passes: number[] = [];
const loads: number[] = [];
for (const type of TYPES) {
  const load = await GuestLoad.start(lab, {
    ...config[type],
    kernel: KERNEL,
    ramdisk: RAMDISK,
  });
  for (const cpu of [OTHER_CPU, DOM0_CPU]) {
    const shared = cpu === DOM0_CPU;
    const where = `${type.toUpperCase()} guest, ${
      shared ? "sharing a processor with Dom0" : "a processor of its own"
    }`;
    console.error(`measuring: ${where}`);
    await load.bind(cpu);
    // Dom0's processor is busy with and without xkmon: else the host would
    // have more for the guest's while Dom0 is idle
    const other = shared
      ? undefined
      : await lab.spawn("renice -n 19 -p $$; while :; do :; done");
    await load.work(WARM_UP_MS);
    const part = await measurePart(lab, load, count, windowMs);
    console.error(JSON.stringify(part));
    if (other?.code !== undefined) throw new Error("Dom0 was idle");
    await other?.signal("SIGKILL");
    await other?.wait();
    const measures: readonly Measure[] = [
      {
        what: "ms for a round, by the processor",
        // A shared processor works on while the guest is held
        of: ({ processor, rounds, lost, time }) =>
          processor / rounds / (shared ? 1 : 1 - lost / time) / 1e6,
        digits: 2,
        isRatio: true,
        expected: !shared,
      },
      {
        what: "ms for a round, by the clock",
        of: ({ time, rounds }) => time / rounds / 1e6,
        digits: 2,
        isRatio: true,
      },
      {
        what: "% of the time in which it could not run",
        of: ({ lost, time }) => 100 * lost / time,
        digits: 3,
        isRatio: false,
      },
    ];
    lines.push(...measures.map((measure) =>
      renderPairs(part.pairs, {
        ...measure,
        what: `${where}: ${measure.what}`,
      })
    ));
    passes.push(part.passes);
    loads.push(Deno.loadavg()[0]!);
  }
  await load.guest.destroy();
}
console.log(
  "| measured | without xkmon | with xkmon | ratio | middle half | expected |",
);
console.log("| --- | ---: | ---: | ---: | --- | --- |");
console.log(lines.join("\n"));
console.log(`\n${await machineText(lab)}`);
console.log(
  `Passes a minute in each part: ${passes.map(Math.round).join(", ")}.`,
);
console.log(busyText(loads));
