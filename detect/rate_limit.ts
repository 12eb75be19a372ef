/** How often something may be done within any time of a given length. */
export class RateLimit {
  readonly most: number;
  /** Milliseconds */
  readonly window: number;
  /** When it was done last, at most `most` times */
  #times: number[] = [];

  constructor(most: number, window: number) {
    this.most = most;
    this.window = window;
  }

  /**
   * Whether it may be done once more; it counts as done then.
   *
   * @param now Milliseconds on any steady clock
   */
  take(now: number): boolean {
    this.#times = this.#times.filter((time) => now - time < this.window);
    if (this.#times.length >= this.most) return false;
    this.#times.push(now);
    return true;
  }
}
