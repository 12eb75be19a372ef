/**
 * Runs every test: what reads the code first, then unit tests, then the tests
 * on a real Xen. Ends with `N passed, N failed`. With `--long` they try also
 * what differs little from what they try anyway, and for longer; with `--xen
 * VERSION,...` only those on a real Xen with SimpleOS are run, on each of these
 * releases.
 *
 * @module
 */

import { parseArgs } from "@std/cli/parse-args";
import { xenRelease } from "./lab/xen_release.ts";

const root = new URL("..", import.meta.url).pathname;
const deno = Deno.execPath();

/** A command that belongs to the tests, and how many run at once in it. */
interface Group {
  readonly name: string;
  readonly args: readonly string[];
  readonly jobs?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Minutes */
  readonly limit: number;
}

/** The lab's tests wait more than they work: three files at once. */
const LAB_JOBS = 3;
/** Those with Linux guests work more: their kernels are large */
const LINUX_JOBS = 2;

/** Tests in this folder that need no lab */
const WITHOUT_LAB = [
  "architecture_test.ts",
  "build_test.ts",
  "ffi_test.ts",
  "fuzz_test.ts",
  "layouts_test.ts",
  "rungs_test.ts",
];
/** What takes longest begins first */
const LONGEST = [
  "stop_test.ts",
  "write_trap_test.ts",
  "write_gate_test.ts",
  "simpleos_pvh_test.ts",
  "response_test.ts",
  "linux_save_test.ts",
  "linux_return_test.ts",
];

/** Place in the order, by name among those that do not take long. */
function place(name: string): string {
  const index = LONGEST.indexOf(name);
  return index === -1 ? name : `${index}`;
}

const withLab = [...Deno.readDirSync(`${root}tests`)].map(({ name }) => name)
  .filter((name) => name.endsWith("_test.ts") && !WITHOUT_LAB.includes(name))
  .sort((a, b) => place(a) < place(b) ? -1 : 1);

const withLinux = withLab.filter((name) => name.startsWith("linux_"));

/** Tests of the lab itself, which have their own releases of Xen */
const OF_THE_LAB = ["bochs_test.ts", "lab_test.ts"];

function inTests(names: readonly string[]): string[] {
  return names.map((name) => `tests/${name}`);
}

/** The tests with SimpleOS; those of the lab too, unless a release is named. */
function onRealXen(xen?: string): Group {
  const others = xen === undefined ? withLinux : [...withLinux, ...OF_THE_LAB];
  return {
    name: `real Xen${xen === undefined ? "" : ` ${xen}`}`,
    args: [
      "test",
      "-A",
      "--parallel",
      ...inTests(withLab.filter((name) => !others.includes(name))),
    ],
    env: xen === undefined ? {} : { LAB_XEN: xen },
    jobs: LAB_JOBS,
    limit: 45,
  };
}

const everything: readonly Group[] = [
  { name: "format", args: ["fmt", "--check"], limit: 2 },
  { name: "lint", args: ["lint"], limit: 2 },
  { name: "types", args: ["check", "."], limit: 5 },
  {
    name: "examples and units",
    args: ["test", "-A", "xen", "guestos", "detect", "cli"],
    limit: 10,
  },
  {
    name: "sources and build",
    args: ["test", "-A", ...inTests(WITHOUT_LAB)],
    limit: 15,
  },
  onRealXen(),
  {
    name: "Linux on real Xen",
    args: ["test", "-A", "--parallel", ...inTests(withLinux)],
    jobs: LINUX_JOBS,
    limit: 30,
  },
];

/** What a group came to. */
interface Result {
  readonly passed: number;
  readonly failed: number;
  /** Why, in the words of the test runner; `""` if nothing failed */
  readonly errors: string;
}

/** Lines of errors that are shown once more at the end, of one group */
const SHOWN_LINES = 200;

/** What the test runner says about all that failed, or the end of the output. */
function errorsIn(plain: string): string {
  const start = plain.lastIndexOf("\n ERRORS ");
  const end = plain.lastIndexOf("\n FAILURES ");
  return start !== -1 && end > start
    ? plain.slice(start, end).split("\n").slice(2, SHOWN_LINES).join("\n")
    : plain.split("\n").slice(-SHOWN_LINES).join("\n");
}

/** Counts of one group, from the summary line that the test runner prints. */
function count(plain: string, success: boolean): [number, number] {
  const summary = [
    ...plain.matchAll(
      /\| (\d+) passed(?: \((\d+) steps?\))? \| (\d+) failed(?: \((\d+) steps?\))?/g,
    ),
  ].at(-1);
  // A check that is no test runner counts as one test
  if (summary === undefined) return success ? [1, 0] : [0, 1];
  const [tests = 0, steps = 0, failedTests = 0, failedSteps = 0] = summary
    .slice(1).map((text) => Number(text ?? 0));
  const failed = failedTests + failedSteps;
  return [tests + steps, success ? failed : Math.max(failed, 1)];
}

async function run(
  group: Group,
  isLong: boolean,
): Promise<Result> {
  console.log(`\n== ${group.name}`);
  const limit = AbortSignal.timeout(group.limit * (isLong ? 2 : 1) * 60_000);
  const child = new Deno.Command(deno, {
    args: [...group.args],
    cwd: root,
    env: {
      PATH: `${root}node_modules/.bin:${Deno.env.get("PATH") ?? ""}`,
      DENO_JOBS: String(group.jobs ?? navigator.hardwareConcurrency),
      ...(isLong ? { XKMON_LONG: "1" } : {}),
      ...group.env,
    },
    stdout: "piped",
    stderr: "inherit",
    signal: limit,
  }).spawn();
  let output = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    const text = decoder.decode(chunk, { stream: true });
    output += text;
    await Deno.stdout.write(chunk);
  }
  const { success } = await child.status;
  // deno-lint-ignore no-control-regex
  const plain = output.replace(/\x1b\[[0-9;]*m/g, "");
  const [passed, failed] = count(plain, success);
  const late = limit.aborted ? "\nThis took longer than it may.\n" : "";
  return { passed, failed, errors: failed ? errorsIn(plain) + late : "" };
}

/** The groups that the command line asks for, and whether at length. */
function wanted(
  args: string[],
): { groups: readonly Group[]; isLong: boolean } {
  const { xen, long: isLong = false } = parseArgs(args, {
    string: ["xen"],
    boolean: ["long"],
    unknown: (word: string) => {
      throw new TypeError(`unknown: ${word}`);
    },
  }) as { xen?: string; long?: boolean };
  if (xen === undefined) return { groups: everything, isLong };
  const releases = xen.split(",");
  releases.forEach(xenRelease);
  return { groups: releases.map(onRealXen), isLong };
}

let groups: readonly Group[];
let isLong: boolean;
try {
  ({ groups, isLong } = wanted(Deno.args));
} catch (error) {
  console.error((error as Error).message);
  Deno.exit(2);
}

let passed = 0;
let failed = 0;
const errors: string[] = [];
for (const group of groups) {
  const start = Date.now();
  const result = await run(group, isLong);
  passed += result.passed;
  failed += result.failed;
  if (result.errors) {
    errors.push(`== errors of: ${group.name}\n${result.errors}`);
  }
  console.log(`   ${((Date.now() - start) / 1000).toFixed(0)} s`);
}
// Where only the end of all this is kept, the reasons are in it
for (const text of errors) console.log(`\n${text}`);
console.log(`\n${passed} passed, ${failed} failed`);
Deno.exitCode = failed === 0 ? 0 : 1;
