/**
 * What the rungs cost a Linux guest, `deno task bench-rungs`: the same work in
 * the guest with nothing done to it and with xkmon on its strongest rung, in
 * turns, as the speed of an emulated guest drifts. Prints a table in Markdown.
 *
 * Work is measured by the time for which Xen let the guest run, by its clock.
 * What xkmon itself takes of a processor is not part of it, but what the guest
 * waits for xkmon's answers is.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { bochs } from "../lab/bochs.ts";
import { Lab, linuxGuest, type LinuxGuestType, qemu } from "../lab/mod.ts";
import { buildXkmon } from "../support/build_xkmon.ts";
import { Monitor } from "../support/monitor.ts";
import { refuseOption } from "../support/refuse_option.ts";
import { XKMON } from "../support/start_lab.ts";
import { busyText } from "./busy_text.ts";
import { GuestLoad, type Work } from "./guest_load.ts";
import { loadRamdisk } from "./load_ramdisk.ts";
import { quantile } from "./statistics.ts";

const KERNEL = "/boot/vmlinuz";
const RAMDISK = "/boot/initrd";
const LIMIT = 600_000;
const PAIRS = 10;
const WINDOW_SECONDS = 5;
/** Code that runs for the first time is compiled */
const SETTLE_MS = 10_000;

const HOSTS: readonly {
  readonly name: string;
  readonly emulator: typeof qemu;
  readonly cpus: number;
  readonly types: readonly LinuxGuestType[];
}[] = [
  { name: "qemu", emulator: qemu, cpus: 2, types: ["pv", "pvh"] },
  { name: "bochs", emulator: bochs, cpus: 1, types: ["pvh"] },
];

const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Time for which the guest ran in a round, ms. */
function roundTime({ time, lost, rounds }: Work): number {
  return (time - lost) / rounds / 1e6;
}

/** An xkmon at work, and the rungs that it chose. */
async function guard(lab: Lab, name: string) {
  const monitor = await Monitor.start(
    lab,
    ...["--dom", name, "--on-attack", "report"],
  );
  const { regions = [] } = await monitor.armed(undefined, LIMIT);
  await delay(SETTLE_MS);
  return { monitor, rungs: regions.map(({ rung }) => rung) };
}

async function end(monitor: Monitor): Promise<void> {
  const { code } = await monitor.stop();
  const findings = await monitor.findings();
  if (code !== 0 || findings.length > 0) {
    throw new Error(`xkmon: ${code}, ${JSON.stringify(findings)}`);
  }
}

/** Turns without xkmon and with it: two of a kind one after the other. */
async function measure(
  lab: Lab,
  load: GuestLoad,
  pairs: number,
  windowMs: number,
) {
  const without: number[] = [];
  const guarded: number[] = [];
  const rungs = new Set<string>();
  const turn = async (into: number[]) =>
    void into.push(roundTime(await load.work(windowMs)));
  for (let pair = 0; pair < pairs; pair += 2) {
    await turn(without);
    const { monitor, rungs: chosen } = await guard(lab, load.guest.name);
    await using _monitor = monitor;
    for (const rung of chosen) rungs.add(rung);
    await turn(guarded);
    await turn(guarded);
    await end(monitor);
    await turn(without);
    console.error(without.slice(-2), guarded.slice(-2));
  }
  const ratios = guarded.map((time, index) => time / without[index]!);
  return { without, guarded, ratios, rungs: [...rungs] };
}

const USAGE = "[--host qemu|bochs] [--pairs N] [--seconds N]";
const options = parseArgs(Deno.args, {
  string: ["host", "pairs", "seconds"],
  unknown: refuseOption(USAGE),
});
const pairs = Number(options.pairs ?? PAIRS);
const windowMs = 1000 * Number(options.seconds ?? WINDOW_SECONDS);
const hosts = HOSTS.filter(({ name }) =>
  options.host === undefined || options.host === name
);
if (!(pairs >= 2 && windowMs >= 1000) || hosts.length === 0) {
  console.error(`bench-rungs: ${USAGE}`);
  Deno.exit(2);
}

const { kernel, config } = await linuxGuest("6.1");
const lines: string[] = [];
const loads: number[] = [];
for (const { name, emulator, cpus, types } of hosts) {
  await using lab = await Lab.start({
    emulator,
    cpus,
    bootTimeoutMs: LIMIT,
    memoryMiB: 3584,
    dom0MemoryMiB: 1792,
    files: [
      { from: await buildXkmon(), to: XKMON, mode: 0o755 },
      // Bochs takes minutes to unpack the image
      { from: kernel.vmlinux, to: KERNEL },
      { from: await loadRamdisk(), to: RAMDISK },
    ],
  });
  if (cpus > 1) await lab.run(["xl", "vcpu-pin", "Domain-0", "0", "0"]);
  for (const type of types) {
    const load = await GuestLoad.start(lab, {
      ...config[type],
      kernel: KERNEL,
      ramdisk: RAMDISK,
    });
    if (cpus > 1) {
      await lab.run(["xl", "vcpu-pin", load.guest.name, "0", `${cpus - 1}`]);
    }
    await load.work(windowMs);
    const { without, guarded, ratios, rungs } = await measure(
      lab,
      load,
      pairs,
      windowMs,
    );
    const median = (figures: readonly number[]) => quantile(figures, 0.5);
    lines.push(`| ${
      [
        `Linux 6.1, ${type.toUpperCase()}, ${name}`,
        rungs.join(", "),
        median(without).toFixed(2),
        median(guarded).toFixed(2),
        median(ratios).toFixed(3),
        [0.25, 0.75].map((part) => quantile(ratios, part).toFixed(3)).join(
          " to ",
        ),
      ].join(" | ")
    } |`);
    loads.push(Deno.loadavg()[0]!);
    await load.guest.destroy();
  }
}
console.log(
  "| guest | rungs | ms a round without xkmon | with xkmon | ratio | middle half |",
);
console.log("| --- | --- | ---: | ---: | ---: | --- |");
console.log(lines.join("\n"));
console.log(`\n${busyText(loads)}`);
