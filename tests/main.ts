/**
 * Runs every test: what reads the code first, then unit tests, then the tests
 * on a real Xen. Ends with `N passed, N failed`.
 *
 * @module
 */

const root = new URL("..", import.meta.url).pathname;
const deno = Deno.execPath();

/** A command that belongs to the tests, and how many run at once in it. */
interface Group {
  readonly name: string;
  readonly args: readonly string[];
  readonly jobs?: number;
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
];
/** What waits longest begins first */
const LONGEST = "quiet_test.ts";

const withLab = [...Deno.readDirSync(`${root}tests`)].map(({ name }) => name)
  .filter((name) => name.endsWith("_test.ts") && !WITHOUT_LAB.includes(name))
  .sort((a, b) =>
    Number(b === LONGEST) - Number(a === LONGEST) || (a < b ? -1 : 1)
  );

const withLinux = withLab.filter((name) => name.startsWith("linux_"));

function inTests(names: readonly string[]): string[] {
  return names.map((name) => `tests/${name}`);
}

const groups: readonly Group[] = [
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
  {
    name: "real Xen",
    args: [
      "test",
      "-A",
      "--parallel",
      ...inTests(withLab.filter((name) => !withLinux.includes(name))),
    ],
    jobs: LAB_JOBS,
    limit: 30,
  },
  {
    name: "Linux on real Xen",
    args: ["test", "-A", "--parallel", ...inTests(withLinux)],
    jobs: LINUX_JOBS,
    limit: 30,
  },
];

/** Counts of one group, from the summary line that the test runner prints. */
function count(output: string, success: boolean): [number, number] {
  // deno-lint-ignore no-control-regex
  const plain = output.replace(/\x1b\[[0-9;]*m/g, "");
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

async function run(group: Group): Promise<[number, number]> {
  console.log(`\n== ${group.name}`);
  const child = new Deno.Command(deno, {
    args: [...group.args],
    cwd: root,
    env: {
      PATH: `${root}node_modules/.bin:${Deno.env.get("PATH") ?? ""}`,
      DENO_JOBS: String(group.jobs ?? navigator.hardwareConcurrency),
    },
    stdout: "piped",
    stderr: "inherit",
    signal: AbortSignal.timeout(group.limit * 60_000),
  }).spawn();
  let output = "";
  const decoder = new TextDecoder();
  for await (const chunk of child.stdout) {
    const text = decoder.decode(chunk, { stream: true });
    output += text;
    await Deno.stdout.write(chunk);
  }
  const { success } = await child.status;
  return count(output, success);
}

let passed = 0;
let failed = 0;
for (const group of groups) {
  const start = Date.now();
  const [ok, bad] = await run(group);
  passed += ok;
  failed += bad;
  console.log(`   ${((Date.now() - start) / 1000).toFixed(0)} s`);
}
console.log(`\n${passed} passed, ${failed} failed`);
Deno.exitCode = failed === 0 ? 0 : 1;
