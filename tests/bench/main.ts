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
import { timeToPause } from "./time_to_pause.ts";

const PARTS = {
  compare: (lab: Lab) => compareSpeed(lab, "/root/compare", "/root/baseline"),
  pause: (lab: Lab) => timeToPause(lab, "/root/xkmon", "/root/baseline"),
  idle: (lab: Lab) => idleCost(lab, "/root/xkmon", "/root/baseline"),
};

const wanted = Object.entries(PARTS).filter(([name]) =>
  Deno.args.length === 0 || Deno.args.includes(name)
);
if (wanted.length === 0) {
  console.error(`parts of the benchmark: ${Object.keys(PARTS).join(", ")}`);
  Deno.exit(2);
}
const files = [
  { from: await buildXkmon(), to: "/root/xkmon" },
  {
    from: await buildProgram("tests/bench/compare_ranges.ts"),
    to: "/root/compare",
  },
  { from: await buildBaseline(), to: "/root/baseline" },
];
await using lab = await Lab.start({ cpus: 2, files });
const rows: Row[] = [];
const loads: number[] = [];
for (const [name, measure] of wanted) {
  console.error(`measuring: ${name}`);
  const part = await measure(lab);
  console.error(renderRows(part));
  rows.push(...part);
  loads.push(Deno.loadavg()[0]!);
}
console.log(renderRows(rows));
console.log(`\n${await machineText(lab)}`);
console.log(busyText(loads));
