import { fetchPackages } from "../lab/fetch_packages.ts";
import { bochs, Lab } from "../lab/mod.ts";
import { xenRelease } from "../lab/xen_release.ts";
import { type SimpleOS, startSimpleOS } from "../simpleos/guest.ts";
import { quantile } from "./statistics.ts";
import type { Row } from "./row.ts";

const XEN = "4.17";
const RUNS = 3;
/** Stores in one run, as in tests/simpleos/attacks.c. */
const STORES = 64;
const EXPECTED_TIME = 1.5;
const EXPECTED_RATE = 0.5;
/** Until a guest that all pages are trapped of has used those it always does. */
const SETTLE_MS = 3000;

const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Xen's own example of a monitor. */
async function xenAccess(): Promise<string> {
  const { packages, suite, programs } = xenRelease(XEN);
  const root = await fetchPackages(`xen-${XEN}`, packages, suite);
  return `${root}/${programs}/xen-access`;
}

/** Milliseconds that one store takes, by the guest's own clock. */
async function timeOfStore(
  simpleos: SimpleOS,
  node: "storm-table" | "storm-pages",
): Promise<number> {
  await simpleos.command("write_storm", 60_000);
  const time = Number(await simpleos.guest.xenstoreRead(`data/${node}`));
  if (!(time > 0)) throw new Error(`SimpleOS does not tell ${node}`);
  return time / STORES / 1e6;
}

async function withXkmon(lab: Lab): Promise<number> {
  const simpleos = await startSimpleOS(lab, { type: "pvh" });
  const job = await lab.spawn(
    "exec /root/xkmon --dom simpleos --on-attack report --interval 3600",
  );
  await job.waitForLine(/GUARDED/);
  await delay(SETTLE_MS);
  const time = await timeOfStore(simpleos, "storm-table");
  await job.signal("SIGTERM");
  await job.wait();
  await simpleos.guest.destroy();
  return time;
}

/** It lets each page be written to after the first event of it. */
async function withXenAccess(lab: Lab): Promise<number> {
  const simpleos = await startSimpleOS(lab, { type: "pvh", shadowMiB: 32 });
  const id = await simpleos.guest.domid();
  const job = await lab.spawn(`exec /root/xen-access ${id} write`);
  await delay(SETTLE_MS);
  const time = await timeOfStore(simpleos, "storm-pages");
  await job.signal("SIGTERM");
  await job.wait();
  await simpleos.guest.destroy();
  return time;
}

/**
 * Time of a store of which a monitor is told, from the store until the guest
 * goes on: beside Xen's own xen-access, on a processor of Intel. Both are
 * started anew for each run.
 *
 * @param xkmon the executable.
 */
export async function timeOfEvents(xkmon: string): Promise<Row[]> {
  await using lab = await Lab.start({
    xen: XEN,
    emulator: bochs,
    bootTimeoutMs: 240_000,
    files: [
      { from: xkmon, to: "/root/xkmon", mode: 0o755 },
      { from: await xenAccess(), to: "/root/xen-access", mode: 0o755 },
    ],
  });
  const times: [number[], number[]] = [[], []];
  for (let run = 0; run < RUNS; run++) {
    times[0].push(await withXkmon(lab));
    times[1].push(await withXenAccess(lab));
  }
  console.error(`ms a store, xkmon and xen-access: ${JSON.stringify(times)}`);
  const [ours, theirs] = times.map((list) => quantile(list, 0.5));
  const ratio = ours! / theirs!;
  return [
    {
      what: `guest's write to its verdict, ms, median of ${RUNS} runs of ` +
        `${STORES}, beside xen-access (emulated Intel)`,
      xkmon: ours!.toFixed(2),
      baseline: theirs!.toFixed(2),
      ratio,
      expected: {
        text: `at most ${EXPECTED_TIME}`,
        met: ratio <= EXPECTED_TIME,
      },
    },
    {
      what: "such writes answered per second in a run",
      xkmon: (1000 / ours!).toFixed(0),
      baseline: (1000 / theirs!).toFixed(0),
      ratio: 1 / ratio,
      expected: {
        text: `at least ${EXPECTED_RATE}`,
        met: 1 / ratio >= EXPECTED_RATE,
      },
    },
  ];
}
