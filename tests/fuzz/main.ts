/**
 * The fuzzer, `deno task fuzz [--inputs N] [--seed S] [TARGET...]`: feeds the
 * readers of hostile data with damaged inputs, on all processors. A target is a
 * reader's name or the path of an input that was kept.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { keepInput, readKept } from "./kept_inputs.ts";
import { makeInput, type Outcome, runInput } from "./run_inputs.ts";
import type { Target } from "./target.ts";
import { targets } from "./targets.ts";
import type { Work } from "./worker.ts";

/** Inputs that a worker runs at a time. */
const PORTION = 2000;
/** Milliseconds after which it hangs at one of them */
const HANGS = 120_000;
/** Violations of one reader after which it is left alone */
const ENOUGH = 10;

const { inputs, seed, _: names } = parseArgs(Deno.args, {
  string: ["inputs", "seed"],
  default: { inputs: "100000", seed: "1" },
  unknown(word, option) {
    if (option === undefined) return true;
    console.error(`fuzz: no option ${word}: --inputs N, --seed S, TARGET...`);
    Deno.exit(2);
  },
});

/** Keeps an input and prints how to run it again. */
async function keep(
  target: Target,
  input: Uint8Array<ArrayBuffer>,
  reason: string,
): Promise<void> {
  const path = await keepInput(target, input);
  console.log(`${target.name}: ${reason}\n  deno task fuzz ${path}`);
}

/** Waits for what a worker says next. */
function nextMessage<T>(worker: Worker): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  worker.onmessage = ({ data }) => resolve(data);
  worker.onerror = (event) => reject(new Error(event.message));
  return promise;
}

/** Lets a worker run a portion. */
async function runPortion(
  worker: Worker,
  target: Target,
  first: number,
  count: number,
): Promise<Outcome> {
  const progress = new Int32Array(new SharedArrayBuffer(4));
  const outcome = nextMessage<Outcome>(worker);
  const timer = setTimeout(() => {
    // A worker that does not end cannot be ended: the process is left
    keep(target, makeInput(target, progress[0]!, Number(seed)), "It hangs")
      .finally(() => Deno.exit(1));
  }, HANGS);
  const { name } = target;
  const work: Work = { name, first, count, seed: Number(seed), progress };
  worker.postMessage(work);
  try {
    return await outcome;
  } finally {
    clearTimeout(timer);
  }
}

/** Runs one reader's inputs, a portion on each processor at a time. */
async function fuzz(target: Target, count: number): Promise<number> {
  const started = performance.now();
  const total = { read: 0, refused: 0, slowest: 0 };
  let next = 0;
  let found = 0;
  const run = async () => {
    const url = new URL("./worker.ts", import.meta.url);
    const worker = new Worker(url, { type: "module" });
    // It says when it takes messages
    await nextMessage(worker);
    while (next < count && found < ENOUGH) {
      const first = next;
      next = Math.min(count, first + PORTION);
      const { read, refused, slowest, violations } = await runPortion(
        worker,
        target,
        first,
        next - first,
      );
      total.read += read;
      total.refused += refused;
      total.slowest = Math.max(total.slowest, slowest);
      for (const { input, reason } of violations.slice(0, ENOUGH)) {
        await keep(target, input, reason);
      }
      found += violations.length;
    }
    worker.terminate();
  };
  await Promise.all(
    Array.from({ length: navigator.hardwareConcurrency }, run),
  );
  const seconds = (performance.now() - started) / 1000;
  const done = total.read + total.refused;
  console.log(
    `${target.name}: ${done} inputs, ${Math.round(done / seconds)} a second, ` +
      `${Math.round(100 * total.read / done)}% taken as valid, slowest ` +
      `${Math.round(total.slowest)} ms, ${found} violations`,
  );
  return found;
}

let violations = 0;
const paths = names.map(String).filter((name) => name.endsWith(".bin"));
for (const path of paths) {
  const { target, input } = await readKept(path);
  const outcome: Outcome = { read: 0, refused: 0, slowest: 0, violations: [] };
  runInput(target, input, outcome);
  for (const { reason } of outcome.violations) console.log(reason);
  violations += outcome.violations.length;
}
const wanted = targets.filter(({ name }) =>
  names.length === 0 || names.includes(name)
);
if (wanted.length === 0 && paths.length === 0) {
  console.error(`targets: ${targets.map(({ name }) => name).join(", ")}`);
  Deno.exit(2);
}
for (const target of wanted) violations += await fuzz(target, Number(inputs));
Deno.exitCode = violations === 0 ? 0 : 1;
