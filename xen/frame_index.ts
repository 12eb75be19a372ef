const INDEX_BITS = 28;
const HIGH_PER_FRAME = 2 ** (32 - INDEX_BITS);

/** Most pages of a core: 1 TiB of memory */
export const MAX_PAGES = 2 ** INDEX_BITS;

/**
 * Where in a core the page of each frame is: as compact as the core's own
 * table, since a large guest has millions of pages.
 */
export class FrameIndex {
  /** frame << 28 | position, ascending */
  readonly #entries: BigUint64Array;
  /** The same, as low and high words: BigInt is too slow to search with */
  readonly #words: Uint32Array;

  /**
   * @param count Number of pages in the core
   * @param frames The frame of each, by position, and maybe more that have no
   *   page; `undefined` for a page that has none
   * @throws {RangeError} If there are too many pages
   */
  constructor(count: number, frames: Iterable<number | undefined>) {
    if (count > MAX_PAGES) {
      throw new RangeError(`A core of ${count} pages is too large`);
    }
    const entries = new BigUint64Array(count);
    const words = new Uint32Array(entries.buffer);
    let used = 0;
    let position = 0;
    for (const frame of frames) {
      if (position === count) break;
      if (frame !== undefined && frame < 2 ** 36) {
        words[2 * used] = (frame % HIGH_PER_FRAME) * MAX_PAGES + position;
        words[2 * used + 1] = Math.floor(frame / HIGH_PER_FRAME);
        used++;
      }
      position++;
    }
    this.#entries = entries.subarray(0, used).sort();
    this.#words = words.subarray(0, 2 * used);
  }

  /**
   * Position of a frame's page in the core.
   *
   * @returns `undefined` if the core does not hold the frame
   */
  find(frame: number): number | undefined {
    const high = Math.floor(frame / HIGH_PER_FRAME);
    const low = (frame % HIGH_PER_FRAME) * MAX_PAGES;
    let from = 0;
    let to = this.#entries.length;
    while (from < to) {
      const middle = (from + to) >>> 1;
      const midHigh = this.#words[2 * middle + 1]!;
      const before = midHigh < high ||
        midHigh === high && this.#words[2 * middle]! < low;
      if (before) from = middle + 1;
      else to = middle;
    }
    if (from === this.#entries.length) return undefined;
    const position = this.#words[2 * from]! - low;
    const found = this.#words[2 * from + 1] === high &&
      position < MAX_PAGES;
    return found ? position : undefined;
  }
}
