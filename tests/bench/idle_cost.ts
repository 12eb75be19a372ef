import { openKernel } from "./open_kernel.ts";
import type { Job, Lab } from "../lab/mod.ts";
import { startSimpleOS } from "../simpleos/guest.ts";
import { cpuSeconds } from "../support/cpu_seconds.ts";
import { residentMemory } from "../support/resident_memory.ts";
import { quantile } from "./statistics.ts";
import type { Row } from "./row.ts";

const SETTLE_SECONDS = 60;
const SECONDS = 60;
const EXPECTED_PERCENT = 1;
const STARTS = 3;

/** Processor time of a process with all its threads, seconds. */
async function cpuTime(lab: Lab, { pid }: Job): Promise<number> {
  const { stdout } = await lab.run(`cat /proc/${pid}/stat`);
  return cpuSeconds(stdout);
}

/** Seconds that a command in Dom0 takes. */
async function duration(lab: Lab, command: string): Promise<number> {
  const times: number[] = [];
  for (let count = 0; count < STARTS; count++) {
    const { stderr } = await lab.run(`time -p ${command}`);
    times.push(Number(stderr.match(/^real (\d+\.\d+)$/m)?.[1]));
  }
  return quantile(times, 0.5);
}

/**
 * What the monitor costs while nothing happens: processor time, memory, and
 * how long it takes to start. The C program runs at the same time.
 *
 * @param xkmon the executable in Dom0.
 * @param baseline `baseline.c` in Dom0.
 */
export async function idleCost(
  lab: Lab,
  xkmon: string,
  baseline: string,
): Promise<Row[]> {
  const simpleos = await startSimpleOS(lab);
  const ranges = (await openKernel()).regions.map(({ start, size }) =>
    `${start.toString(16)} ${size}`
  );
  const id = await simpleos.guest.domid();
  // First: it cannot map what xkmon has locked
  const watcher = await lab.spawn(
    `exec ${baseline} watch ${id} ${ranges.join(" ")}`,
  );
  await watcher.waitForLine(/ready/);
  const monitor = await lab.spawn(`exec ${xkmon} --dom simpleos --interval 1`);
  await monitor.waitForLine(/GUARDED/);
  // The first minute compiles and tidies up: it is not what a day looks like
  await lab.run(`sleep ${SETTLE_SECONDS}`, {
    timeoutMs: 2 * SETTLE_SECONDS * 1000,
  });
  const jobs = [monitor, watcher];
  const start = performance.now();
  const before = await Promise.all(jobs.map((job) => cpuTime(lab, job)));
  await lab.run(`sleep ${SECONDS}`, { timeoutMs: 2 * SECONDS * 1000 });
  const after = await Promise.all(jobs.map((job) => cpuTime(lab, job)));
  const seconds = (performance.now() - start) / 1000;
  const [ours, theirs] = after.map((time, index) =>
    (time - before[index]!) / seconds * 100
  );
  const [used, baselineUsed] = await Promise.all(
    jobs.map(({ pid }) => residentMemory(lab, pid!)),
  );
  for (const job of jobs) await job.signal("SIGTERM");
  for (const job of jobs) await job.wait();
  await simpleos.guest.destroy();
  return [
    {
      what: `CPU share in % while nothing happens, a pass a second, ` +
        `${SECONDS} s after the first ${SETTLE_SECONDS}`,
      xkmon: ours!.toFixed(2),
      baseline: theirs!.toFixed(2),
      expected: {
        text: `less than ${EXPECTED_PERCENT}`,
        met: ours! < EXPECTED_PERCENT,
      },
    },
    {
      what: `resident memory, MiB (xkmon: anonymous ` +
        `${used!.anonymous.toFixed(1)}, file ${
          used!.file.toFixed(1)
        }, shared ` +
        `${used!.shared.toFixed(1)})`,
      xkmon: used!.all.toFixed(1),
      baseline: baselineUsed!.all.toFixed(1),
      ratio: used!.all / baselineUsed!.all,
    },
    {
      what: "start of the executable (`--version`), s",
      xkmon: (await duration(lab, `${xkmon} --version`)).toFixed(2),
    },
  ];
}
