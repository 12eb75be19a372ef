/**
 * The benchmark, `deno task bench`: xkmon against a C program that does the
 * same, in one Dom0 of the lab. Prints a table in Markdown.
 *
 * @module
 */
import { buildProgram } from "../dom0/build_program.ts";
import { Lab } from "../lab/mod.ts";
import { buildXkmon } from "../support/build_xkmon.ts";
import { buildBaseline } from "./build_baseline.ts";
import { busyText } from "./busy_text.ts";
import { compareSpeed } from "./compare_speed.ts";
import { idleCost } from "./idle_cost.ts";
import { machineText } from "./machine_text.ts";
import { renderRows, type Row } from "./row.ts";
import { timeOfEvents } from "./time_of_events.ts";
import { timeToPause } from "./time_to_pause.ts";

/** In one machine. */
const PARTS = {
  compare: (lab: Lab) => compareSpeed(lab, "/root/compare", "/root/baseline"),
  pause: (lab: Lab) => timeToPause(lab, "/root/xkmon", "/root/baseline"),
  idle: (lab: Lab) => idleCost(lab, "/root/xkmon", "/root/baseline"),
};
/** In a machine of its own, with a processor of Intel. */
const EVENTS = "events";

const isWanted = (name: string) =>
  Deno.args.length === 0 || Deno.args.includes(name);
const wanted = Object.entries(PARTS).filter(([name]) => isWanted(name));
if (wanted.length === 0 && !isWanted(EVENTS)) {
  const names = [...Object.keys(PARTS), EVENTS];
  console.error(`parts of the benchmark: ${names.join(", ")}`);
  Deno.exit(2);
}
const rows: Row[] = [];
const loads: number[] = [];

async function measure(name: string, part: () => Promise<Row[]>) {
  console.error(`measuring: ${name}`);
  const measured = await part();
  console.error(renderRows(measured));
  rows.push(...measured);
  loads.push(Deno.loadavg()[0]!);
}

/** Measures what needs one machine, and says which that was. */
async function measureInOne(): Promise<string> {
  const files = [
    { from: await buildXkmon(), to: "/root/xkmon" },
    {
      from: await buildProgram("tests/bench/compare_ranges.ts"),
      to: "/root/compare",
    },
    { from: await buildBaseline(), to: "/root/baseline" },
  ];
  await using lab = await Lab.start({ cpus: 2, files });
  for (const [name, part] of wanted) await measure(name, () => part(lab));
  return await machineText(lab);
}

const machine = wanted.length === 0 ? undefined : await measureInOne();
if (isWanted(EVENTS)) {
  const xkmon = await buildXkmon();
  await measure(EVENTS, () => timeOfEvents(xkmon));
}
console.log(renderRows(rows));
if (machine !== undefined) console.log(`\n${machine}`);
console.log(busyText(loads));
