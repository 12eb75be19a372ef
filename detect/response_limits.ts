import { RateLimit } from "./rate_limit.ts";

/** Incidents of which evidence is kept until the monitor ends */
const MAX_DUMPS = 8;

const MINUTE = 60_000;

/**
 * What one monitor does at most, through all reboots of its guest: an enemy
 * must neither keep a guest busy with being put right nor fill the disk.
 */
export class ResponseLimits {
  readonly restores = new RateLimit(10, MINUTE);
  readonly reboots = new RateLimit(3, 10 * MINUTE);
  #dumps = new RateLimit(1, MINUTE);
  #dumped = 0;

  /**
   * Why no evidence may be kept now; where there is no reason, it counts as
   * kept.
   *
   * @param now Milliseconds on any steady clock
   */
  refuseDump(now: number): string | undefined {
    if (this.#dumped >= MAX_DUMPS) {
      return `it was kept ${MAX_DUMPS} times already`;
    }
    if (!this.#dumps.take(now)) return "it is kept once a minute";
    this.#dumped++;
    return undefined;
  }
}
