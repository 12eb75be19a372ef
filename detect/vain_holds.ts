import { RateLimit } from "./rate_limit.ts";

const MAX_HOLDS = 20;
const WINDOW = 60_000;

/**
 * Counts the pauses that ended in nothing. A guest that shows something and
 * takes it back, again and again, must not be paused all the time.
 */
export class VainHolds {
  #limit = new RateLimit(MAX_HOLDS, WINDOW);
  /** When the guest may be paused again */
  #until = -Infinity;

  /** Whether the guest may be paused for a closer look. */
  mayHold(now: number): boolean {
    return now >= this.#until;
  }

  /**
   * Counts one.
   *
   * @param now Milliseconds on any steady clock
   * @returns What to tell if the guest is not paused any more for a while
   */
  add(now: number): string | undefined {
    if (this.#limit.take(now)) return undefined;
    this.#until = now + WINDOW;
    this.#limit = new RateLimit(MAX_HOLDS, WINDOW);
    return `more than ${MAX_HOLDS} pauses within ${WINDOW / 1000} s ended in ` +
      "nothing: for as long again the guest is looked at as it runs";
  }
}
