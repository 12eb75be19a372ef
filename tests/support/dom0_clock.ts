import type { Lab } from "../lab/mod.ts";

/** Milliseconds of one step of the clock that {@linkcode dom0Clock} reads. */
export const CLOCK_STEP = 1000;

/** Dom0's time in milliseconds since 1970, rounded down to a whole second. */
export async function dom0Clock(lab: Lab): Promise<number> {
  return Number((await lab.run("date +%s")).stdout) * CLOCK_STEP;
}
