/** Random numbers that are the same ones for the same seed (xorshift32). */
export class SeededRandom {
  #state: number;

  /** @param seed Not 0 */
  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /**
   * A whole number from 0 up to a limit.
   *
   * @param limit At most 2^32
   */
  below(limit: number): number {
    this.#state ^= this.#state << 13;
    this.#state ^= this.#state >>> 17;
    this.#state ^= this.#state << 5;
    return Math.floor((this.#state >>> 0) / 2 ** 32 * limit);
  }
}
