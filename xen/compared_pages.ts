import type { FrameMapping } from "./frame_mapping.ts";

/** Knows which frames a guest did not write to since it began. */
export interface WriteLog {
  isUnwritten(frame: bigint): boolean;
}

/**
 * Tells which pages of a range have to be compared: all of them once, then
 * those that were written to.
 *
 * A page that differed once is compared always. Who accounts for a difference
 * makes it part of the trusted copy, and may take it out again while the guest
 * writes nothing.
 */
export class ComparedPages {
  #log: WriteLog;
  #mapping: FrameMapping;
  #trusted: Uint8Array;
  #frames: readonly bigint[];
  #differed = new Set<number>();
  #all: readonly number[];
  #isFirst = true;

  /**
   * @param log Began before the range was compared for the first time
   * @param mapping What is compared
   * @param frames Those of the mapping, in order
   * @param trusted What it is compared with
   */
  constructor(
    log: WriteLog,
    mapping: FrameMapping,
    frames: readonly bigint[],
    trusted: Uint8Array,
  ) {
    this.#log = log;
    this.#mapping = mapping;
    this.#frames = frames;
    this.#trusted = trusted;
    this.#all = frames.map((_, page) => page);
  }

  /** Whether it is about these: what is known of others says nothing. */
  isOf(log: WriteLog, mapping: FrameMapping, trusted: Uint8Array): boolean {
    return this.#log === log && this.#mapping === mapping &&
      this.#trusted === trusted;
  }

  /** Positions of the pages to be compared now. */
  get due(): readonly number[] {
    if (this.#isFirst) return this.#all;
    return this.#all.filter((page) =>
      this.#differed.has(page) || !this.#log.isUnwritten(this.#frames[page]!)
    );
  }

  /**
   * Takes what the comparison of all that was due came to.
   *
   * @param differing Positions of the pages that differed
   */
  compared(differing: readonly number[]): void {
    this.#isFirst = false;
    for (const page of differing) this.#differed.add(page);
  }
}
