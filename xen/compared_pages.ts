import type { FrameMapping } from "./frame_mapping.ts";

/** Knows to which frames a guest wrote since it began. */
export interface WriteLog {
  /** Whether anything is known of a frame */
  watches(frame: bigint): boolean;
  /** The frames that it watches and the guest wrote to, each once */
  readonly written: readonly bigint[];
}

/**
 * Tells which pages of a range have to be compared: all of them once, then
 * those that were written to.
 *
 * A page that differed once is compared always: who accounts for a difference
 * makes it part of the trusted copy, and may take it out again while the guest
 * writes nothing. Where it was made so before the log began, that page has to be
 * named.
 */
export class ComparedPages {
  #log: WriteLog;
  #mapping: FrameMapping;
  #trusted: Uint8Array;
  /** Positions of the pages of each frame that is watched */
  #pages = new Map<bigint, number[]>();
  /** Positions of the pages that are compared whatever the log says */
  #always = new Set<number>();
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
    this.#trusted = trusted;
    frames.forEach((frame, page) => {
      const known = this.#pages.get(frame);
      if (!log.watches(frame)) this.#always.add(page);
      else if (known === undefined) this.#pages.set(frame, [page]);
      else known.push(page);
    });
  }

  /** Whether it is about these: what is known of others says nothing. */
  isOf(log: WriteLog, mapping: FrameMapping, trusted: Uint8Array): boolean {
    return this.#log === log && this.#mapping === mapping &&
      this.#trusted === trusted;
  }

  /**
   * Positions of the pages to be compared now, in order; undefined for all.
   *
   * @param also Positions of pages that are to be, whatever the log says
   */
  due(also: Iterable<number>): readonly number[] | undefined {
    if (this.#isFirst) return undefined;
    const written = this.#log.written.flatMap((frame) =>
      this.#pages.get(frame) ?? []
    );
    const due = new Set([...this.#always, ...written, ...also]);
    return [...due].sort((a, b) => a - b);
  }

  /**
   * Takes what the comparison of all that was due came to.
   *
   * @param differing Positions of the pages that differed
   */
  compared(differing: readonly number[]): void {
    this.#isFirst = false;
    for (const page of differing) this.#always.add(page);
  }
}
