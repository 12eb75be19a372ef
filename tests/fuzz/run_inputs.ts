import { seededRandom } from "../../guestos/testing/seeded_random.ts";
import { mutate } from "./mutate.ts";
import type { Target } from "./target.ts";

/** By how much one input may make the process grow, bytes */
const MAX_GROWTH = 256 << 20;
/** From one input's seed to the next one's: odd, so that none comes twice */
const SPREAD = 0x9e37_79b1;

/** An input that a reader did not take as documented. */
export interface Violation {
  readonly input: Uint8Array<ArrayBuffer>;
  readonly reason: string;
}

/** What became of a number of inputs. */
export interface Outcome {
  /** Inputs that were taken for valid ones */
  read: number;
  refused: number;
  /** Milliseconds that the slowest took */
  slowest: number;
  violations: Violation[];
}

/** Reads one input and notes what became of it. */
export function runInput(
  { read, limit }: Target,
  input: Uint8Array<ArrayBuffer>,
  outcome: Outcome,
): void {
  const violate = (reason: string) =>
    outcome.violations.push({ input, reason });
  const memory = Deno.memoryUsage().rss;
  try {
    let [valid, duration] = timed(read, input);
    // Twice, lest a busy machine be blamed on the reader
    if (duration > limit) [valid, duration] = timed(read, input);
    if (duration > limit) violate(`It took ${Math.round(duration)} ms`);
    if (valid) outcome.read++;
    else outcome.refused++;
    outcome.slowest = Math.max(outcome.slowest, duration);
  } catch (error) {
    violate(error instanceof Error ? `${error.stack}` : `${error}`);
  }
  const growth = Deno.memoryUsage().rss - memory;
  if (growth > MAX_GROWTH) violate(`It took ${growth} bytes of memory`);
}

function timed(
  read: Target["read"],
  input: Uint8Array<ArrayBuffer>,
): [boolean, number] {
  const started = performance.now();
  const valid = read(input);
  return [valid, performance.now() - started];
}

/**
 * A damaged input. It depends on the seed and on its own number alone, so that
 * it can be made again.
 *
 * @param seed 32 bits
 */
export function makeInput(
  { seeds }: Target,
  number: number,
  seed: number,
): Uint8Array<ArrayBuffer> {
  const random = seededRandom(seed + Math.imul(number, SPREAD));
  const chosen = seeds[random(seeds.length)]!;
  const other = seeds[random(seeds.length)]!;
  return mutate(random, chosen, other);
}

/**
 * Feeds a reader with damaged inputs.
 *
 * @param first Number of the first input
 * @param count How many
 * @param seed 32 bits
 * @param progress Where the number of the input that is read is told
 */
export function runInputs(
  target: Target,
  first: number,
  count: number,
  seed: number,
  progress: Int32Array<ArrayBufferLike> = new Int32Array(1),
): Outcome {
  const outcome: Outcome = { read: 0, refused: 0, slowest: 0, violations: [] };
  for (let number = first; number < first + count; number++) {
    progress[0] = number;
    runInput(target, makeInput(target, number, seed), outcome);
  }
  return outcome;
}
