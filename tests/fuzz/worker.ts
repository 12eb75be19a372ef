/**
 * Feeds readers with the inputs that the program asks for.
 *
 * @module
 */
/// <reference lib="deno.worker" />
import { runInputs } from "./run_inputs.ts";
import { targets } from "./targets.ts";

/** Inputs that a worker is asked to run. */
export interface Work {
  readonly name: string;
  readonly first: number;
  readonly count: number;
  readonly seed: number;
  /** Shared: the number of the input that is read */
  readonly progress: Int32Array;
}

self.onmessage = ({ data }: MessageEvent<Work>) => {
  const { name, first, count, seed, progress } = data;
  const target = targets.find((target) => target.name === name)!;
  self.postMessage(runInputs(target, first, count, seed, progress));
};

// Targets make their seeds first: a message that comes meanwhile is lost
self.postMessage("ready");
