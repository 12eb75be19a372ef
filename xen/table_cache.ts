import { FrameMapping, type FrameSource } from "./frame_mapping.ts";
import { PAGE_SIZE } from "./layouts.ts";

const BATCH = 256;
/** Page tables that are kept mapped at most: 64 MiB of them */
const MAX_TABLES = 16_384;

/** One page table of the guest, live: 512 entries as 1024 little-endian words. */
export type TableWords = Uint32Array;

/** What all mapped tables held at one time. */
export interface TablesCopy {
  readonly generation: number;
  /** One a mapping, in the order of the mappings */
  readonly contents: readonly Uint8Array<ArrayBuffer>[];
}

/**
 * Page tables of one guest, kept mapped: a walk costs no hypercall.
 *
 * A frame that stops being a page table stays mapped and shows what it holds
 * then, as the processor would see it; nothing is kept but the mapping.
 */
export class TableCache {
  #frames: FrameSource;
  #tables = new Map<bigint, TableWords>();
  #mappings: FrameMapping[] = [];
  #generation = 0;
  #pinned: { readonly frame: bigint; readonly words: TableWords } | undefined;

  constructor(frames: FrameSource) {
    this.#frames = frames;
  }

  /** Grows when tables were unmapped: words from before must not be used. */
  get generation(): number {
    return this.#generation;
  }

  /**
   * Answers for one table by what it holds now, whatever becomes of its frame:
   * the root table of a process is freed when that ends.
   */
  pin(frame: bigint): void {
    this.unpin();
    const words = this.words(frame);
    if (words !== undefined) this.#pinned = { frame, words: words.slice() };
  }

  /** Undoes `pin`. */
  unpin(): void {
    this.#pinned = undefined;
    // Who keeps words has to ask anew
    this.#generation++;
  }

  /** The words of a table, or undefined if its frame cannot be mapped. */
  words(frame: bigint): TableWords | undefined {
    if (this.#pinned?.frame === frame) return this.#pinned.words;
    const known = this.#tables.get(frame);
    if (known !== undefined) return known;
    this.load([frame]);
    return this.#tables.get(frame);
  }

  /** One entry, or undefined if the table's frame cannot be mapped. */
  readonly entry = (frame: bigint, index: number): bigint | undefined => {
    const words = this.words(frame);
    if (words === undefined) return undefined;
    return BigInt(words[2 * index]!) | BigInt(words[2 * index + 1]!) << 32n;
  };

  /** Maps many tables at once, which is much faster than one by one. */
  load(wanted: Iterable<bigint>): void {
    const missing = [...new Set(wanted)].filter((frame) =>
      !this.#tables.has(frame)
    );
    if (missing.length === 0) return;
    if (this.#tables.size + missing.length > MAX_TABLES) this.clear();
    for (let at = 0; at < Math.min(missing.length, MAX_TABLES); at += BATCH) {
      this.#loadBatch(missing.slice(at, at + BATCH));
    }
  }

  #loadBatch(batch: readonly bigint[]): void {
    const result = this.#frames.map(batch);
    if (result instanceof FrameMapping) {
      this.#mappings.push(result);
      batch.forEach((frame, index) =>
        this.#tables.set(
          frame,
          new Uint32Array(result.bytes, index * PAGE_SIZE, PAGE_SIZE / 4),
        )
      );
      return;
    }
    const refused = new Set(result);
    const rest = batch.filter((_, index) => !refused.has(index));
    if (rest.length > 0) this.#loadBatch(rest);
  }

  /** Copies all mapped tables. */
  copy(): TablesCopy {
    return {
      generation: this.#generation,
      contents: this.#mappings.map(({ bytes }) =>
        new Uint8Array(bytes.slice(0))
      ),
    };
  }

  /** Whether the same tables are mapped and hold what they held. */
  same({ generation, contents }: TablesCopy): boolean {
    return generation === this.#generation &&
      contents.length === this.#mappings.length &&
      this.#mappings.every((mapping, at) => mapping.equals(0, contents[at]!));
  }

  /** Maps all tables again, in the place of each: see `FrameMapping.renew`. */
  renew(): void {
    if (this.#mappings.every((mapping) => mapping.renew())) return;
    const frames = [...this.#tables.keys()];
    this.clear();
    // Now: who asks for it has a limit for the time that it takes
    this.load(frames);
  }

  /** Unmaps all tables. */
  clear(): void {
    this.#generation++;
    this.#tables.clear();
    for (const mapping of this.#mappings) mapping.unmap();
    this.#mappings = [];
  }
}
