import { openKernel } from "./open_kernel.ts";
import type { Job, Lab } from "../lab/mod.ts";
import { startSimpleOS } from "../simpleos/guest.ts";
import { quantile } from "./statistics.ts";
import type { Row } from "./row.ts";

const PAGE = 4096;
const TURNS = 5;
const TURN_MS = 1000;
/** Before the first turn: a monitor runs for long, and its code is compiled. */
const WARM_UP_MS = 5000;
const EXPECTED_RATIO = 0.7;
/** Free memory of a 64 MiB guest, in its direct map: nobody writes it. */
const LARGE_RANGE = { start: 0xffff880002000000n, size: 16 << 20 };

interface Range {
  readonly start: bigint;
  readonly size: number;
}

/** A program in Dom0 that compares when it is told to. */
interface Contestant {
  readonly job: Job;
  readonly fifo: string;
  readonly answers: AsyncGenerator<string>;
}

async function enter(
  lab: Lab,
  name: string,
  command: string,
): Promise<Contestant> {
  const fifo = `/run/bench-${name}`;
  await lab.run(["mkfifo", fifo]);
  // Opened for both ways it has no end between two orders
  const job = await lab.spawn(`exec ${command} <>${fifo}`);
  const answers = job.lines();
  const { value } = await answers.next();
  if (value !== "ready") throw new Error(`${command} says ${value}`);
  return { job, fifo, answers };
}

/** Pages a second that the program compares. */
async function turn(
  lab: Lab,
  { fifo, answers }: Contestant,
  ranges: readonly Range[],
  step: number,
  milliseconds = TURN_MS,
): Promise<number> {
  const words = ranges.map(({ start, size }) =>
    `${start.toString(16)} ${size}`
  );
  await lab.run(
    `echo ${milliseconds} ${step} ${ranges.length} ${words.join(" ")} >${fifo}`,
  );
  const { value } = await answers.next();
  const [rounds, nanoseconds, differences] = String(value).split(" ").map(
    Number,
  );
  if (!(rounds! > 0) || differences !== 0) {
    throw new Error(`no comparison of equal memory: ${value}`);
  }
  const pages = ranges.reduce((sum, { size }) => sum + size / PAGE, 0);
  return pages * rounds! / nanoseconds! * 1e9;
}

/**
 * Pages compared per second. The programs take turns, so that what else the
 * machine does hits all of them; the median of the turns counts.
 *
 * @param program `compare_ranges.ts` in Dom0.
 * @param baseline `baseline.c` in Dom0.
 */
export async function compareSpeed(
  lab: Lab,
  program: string,
  baseline: string,
): Promise<Row[]> {
  const simpleos = await startSimpleOS(lab, { memoryMiB: 64 });
  const { regions } = await openKernel();
  const id = await simpleos.guest.domid();
  const ours = await enter(lab, "xkmon", `${program} simpleos`);
  const theirs = await enter(lab, "baseline", `${baseline} compare ${id}`);
  const rows: Row[] = [];
  const kernelPages = regions.reduce((sum, { size }) => sum + size / PAGE, 0);
  for (
    const { name, ranges } of [
      { name: `SimpleOS's ${kernelPages} guarded pages`, ranges: regions },
      { name: "16 MiB of its memory", ranges: [LARGE_RANGE] },
    ]
  ) {
    const speeds: [number[], number[], number[]] = [[], [], []];
    for (const contestant of [ours, theirs]) {
      await turn(lab, contestant, ranges, 0, WARM_UP_MS);
    }
    for (let count = 0; count < TURNS; count++) {
      speeds[0].push(await turn(lab, ours, ranges, 0));
      speeds[1].push(await turn(lab, theirs, ranges, 0));
      speeds[2].push(await turn(lab, theirs, ranges, PAGE));
    }
    const [xkmon, whole, paged] = speeds.map((list) => quantile(list, 0.5));
    for (
      const [how, speed] of [
        ["a memcmp a region", whole!],
        ["a memcmp a page", paged!],
      ] as const
    ) {
      const ratio = xkmon! / speed;
      rows.push({
        what: `pages compared per second, ${name}; C: ${how}`,
        xkmon: Math.round(xkmon!).toLocaleString("en"),
        baseline: Math.round(speed).toLocaleString("en"),
        ratio,
        expected: {
          text: `at least ${EXPECTED_RATIO}`,
          met: ratio >= EXPECTED_RATIO,
        },
      });
    }
  }
  for (const { job } of [ours, theirs]) await job.signal("SIGTERM");
  for (const { job } of [ours, theirs]) await job.wait();
  await simpleos.guest.destroy();
  return rows;
}
