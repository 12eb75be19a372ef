import type { CpuState } from "../guestos/cpu_state.ts";
import { type MappedRanges, UnreadableMemoryError } from "../guestos/memory.ts";
import { type AliasScan, findAliases } from "./aliases.ts";
import { ComparedPages, type WriteLog } from "./compared_pages.ts";
import {
  type FrameMapping,
  type FrameSource,
  mapRange,
} from "./frame_mapping.ts";
import { PAGE_SIZE } from "./layouts.ts";
import { mappedFrames } from "./mapped_frames.ts";
import { mappedRanges } from "./mapped_ranges.ts";
import { pageAlignedCopy } from "./page_aligned_copy.ts";
import {
  entryBits,
  entryFrame,
  type Levels,
  type Mapped,
  type NotMapped,
  walkPageTables,
} from "./page_walk.ts";
import { RegionMap } from "./region_map.ts";
import { TableCache, type TablesCopy } from "./table_cache.ts";

const MAX_READ = 16 << 20;
/** Ranges that are kept mapped: code comes and goes, and some is never again */
const MAX_VIEWS = 1024;

interface View {
  readonly map: RegionMap;
  /** What `frames` and `mapping` were made from */
  walks?: readonly (Mapped | NotMapped)[];
  frames: bigint[];
  mapping?: FrameMapping;
  /** The look at which it was compared last */
  comparedAt?: number;
  /** What was found then, where writes are logged */
  compared?: ComparedPages;
}

/** A scan for aliases, which holds while the tables do not change. */
interface KeptScan {
  readonly frames: ReadonlySet<bigint>;
  readonly root: bigint;
  readonly tables: TablesCopy;
  readonly scan: AliasScan;
}

/**
 * The memory of a guest behind its page tables, whatever type it is of and
 * wherever its frames come from.
 *
 * Pages stay mapped between readings. `dispose` gives all mappings back: one
 * that is held keeps a dead domain alive.
 */
export abstract class PagedGuest implements Disposable {
  #frames: FrameSource;
  #levels: Levels;
  #tables: TableCache;
  #views = new Map<bigint, View>();
  #kept: KeptScan | undefined;
  #root: bigint | undefined;
  /** Looks at the guest so far */
  protected looks = 0;
  /** Knows what need not be compared again, if anybody does */
  protected writeLog: WriteLog | undefined;
  /** Whether that is compared all the same */
  protected comparesAll = false;

  /**
   * @param frames Where its frames can be had
   * @param levels Paging levels of its kernel
   */
  constructor(frames: FrameSource, levels: Levels) {
    this.#frames = frames;
    this.#levels = levels;
    this.#tables = new TableCache(frames);
  }

  /** State of each virtual CPU; there is at least one. */
  abstract get cpus(): readonly CpuState[];

  /** Frame of the kernel's root page table. */
  get root(): bigint {
    return this.#root ?? this.cpus[0]!.root;
  }

  /** See `KernelMemory`. */
  useRoot(root: bigint, copied = false): void {
    if (copied) this.#tables.pin(root);
    else this.#tables.unpin();
    // What was compared was seen through other tables
    if (root !== this.root) this.looks++;
    this.#root = root;
  }

  /** See `KernelMemory`. */
  frame(address: bigint): bigint {
    const walk = this.walk(address);
    if (walk.kind === "mapped") return walk.frame;
    throw new UnreadableMemoryError(address, walk.kind);
  }

  /**
   * Where an address leads at this moment.
   *
   * @param root Frame of the root page table
   */
  walk(address: bigint, root = this.root): Mapped | NotMapped {
    return walkPageTables(
      this.#tables.entry,
      root,
      address,
      this.#levels,
    );
  }

  /**
   * Where each page of a range leads at this moment; the same array as before
   * if nothing changed.
   *
   * @param start Guest virtual address, page aligned
   * @param size Bytes, a multiple of the page size
   */
  walks(start: bigint, size: number): readonly (Mapped | NotMapped)[] {
    return this.#view(start, size).map.walks(this.root);
  }

  #view(start: bigint, size: number): View {
    const pages = size / PAGE_SIZE;
    let view = this.#views.get(start);
    if (view?.map.pages !== pages) {
      view?.mapping?.unmap();
      if (this.#views.size >= MAX_VIEWS) this.#forgetViews();
      view = {
        map: new RegionMap(this.#tables, this.#levels, start, pages),
        frames: [],
      };
      this.#views.set(start, view);
    }
    return view;
  }

  /** Maps everything anew from here on. */
  protected forgetMappings(): void {
    this.#forgetViews();
    this.#tables.clear();
  }

  /**
   * Maps everything again, each page in its place, so that all that was worked
   * out of what it holds need not be worked out again where it holds the same.
   */
  protected renewMappings(): void {
    for (const view of this.#views.values()) {
      if (view.mapping?.renew() === false) view.mapping = undefined;
    }
    this.#tables.renew();
  }

  #forgetViews(): void {
    for (const { mapping } of this.#views.values()) mapping?.unmap();
    this.#views.clear();
  }

  /** The range's pages as one mapping, through the current tables. */
  #mapping(start: bigint, size: number): FrameMapping {
    const view = this.#view(start, size);
    const walks = view.map.walks(this.root);
    if (view.mapping !== undefined && view.walks === walks) return view.mapping;
    const frames = mappedFrames(start, walks);
    const same = view.mapping !== undefined &&
      frames.every((frame, page) => frame === view.frames[page]);
    if (!same) {
      view.mapping?.unmap();
      view.mapping = undefined;
      view.mapping = mapRange(this.#frames, start, frames);
      view.frames = frames;
    }
    view.walks = walks;
    return view.mapping!;
  }

  /**
   * Compares a range with a trusted copy, through the current page tables.
   *
   * @param start Guest virtual address, page aligned
   * @param trusted What should be there, a multiple of the page size
   * @param also Positions of pages that are compared even if they were not
   *   written to
   * @returns Positions of the pages that differ
   * @throws {UnreadableMemoryError} If one page is unreadable
   */
  compare(
    start: bigint,
    trusted: Uint8Array<ArrayBuffer>,
    also: Iterable<number> = [],
  ): number[] {
    const mapping = this.#mapping(start, trusted.length);
    const view = this.#views.get(start)!;
    view.comparedAt = this.looks;
    const compared = this.#compared(view, mapping, trusted);
    const pages = this.comparesAll ? undefined : compared?.due(also);
    const differing = differingPages(mapping, trusted, pages);
    compared?.compared(differing);
    return differing;
  }

  #compared(
    view: View,
    mapping: FrameMapping,
    trusted: Uint8Array,
  ): ComparedPages | undefined {
    const { writeLog } = this;
    if (writeLog === undefined) return view.compared = undefined;
    if (!view.compared?.isOf(writeLog, mapping, trusted)) {
      const { frames } = view;
      view.compared = new ComparedPages(writeLog, mapping, frames, trusted);
    }
    return view.compared;
  }

  /** A copy of bytes that `compare` is fast with. */
  trustedCopy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    return pageAlignedCopy(bytes);
  }

  /** See `GuestMemory.read`. */
  read(address: bigint, length: number): Uint8Array<ArrayBuffer> {
    if (!(length >= 0 && length <= MAX_READ)) {
      throw new RangeError(`Cannot read ${length} bytes: at most ${MAX_READ}`);
    }
    const bytes = new Uint8Array(length);
    if (length === 0) return bytes;
    const kept = this.#keptBytes(address, length);
    if (kept !== undefined) {
      bytes.set(kept);
      return bytes;
    }
    this.readInto(address, bytes);
    return bytes;
  }

  /** See `KernelMemory`. */
  readInto(address: bigint, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length; done += MAX_READ) {
      this.#copy(
        address + BigInt(done),
        bytes.subarray(done, done + MAX_READ),
      );
    }
  }

  /**
   * Copies memory through any page tables of the guest, such as those that a
   * virtual CPU uses.
   *
   * @param root Frame of the root page table
   * @param length Bytes, at most 16 MiB
   * @throws {UnreadableMemoryError} If one byte of the range is unreadable
   */
  readThrough(
    root: bigint,
    address: bigint,
    length: number,
  ): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    this.#copy(address, bytes, root);
    return bytes;
  }

  #copy(address: bigint, bytes: Uint8Array, root = this.root): void {
    const offset = Number(address & BigInt(PAGE_SIZE - 1));
    const start = address - BigInt(offset);
    const pages = Math.ceil((offset + bytes.length) / PAGE_SIZE);
    const mapping = mapRange(
      this.#frames,
      start,
      this.#framesAt(start, pages, address, root),
    );
    try {
      bytes.set(new Uint8Array(mapping.bytes, offset, bytes.length));
    } finally {
      mapping.unmap();
    }
  }

  /** @param first What is told as unreadable where the first page is */
  #framesAt(
    start: bigint,
    pages: number,
    first: bigint,
    root: bigint,
  ): bigint[] {
    const frames: bigint[] = [];
    while (frames.length < pages) {
      const at = start + BigInt(frames.length * PAGE_SIZE);
      const walk = this.walk(at, root);
      if (walk.kind !== "mapped") {
        throw new UnreadableMemoryError(
          frames.length === 0 ? first : at,
          walk.kind,
        );
      }
      frames.push(walk.frame);
      // One walk serves all pages that the same table, or entry, leads to
      for (const frame of this.#followers(at, walk, pages - frames.length)) {
        frames.push(frame);
      }
    }
    return frames;
  }

  /** Frames of the next pages, as far as what a walk went through tells them. */
  *#followers(at: bigint, walk: Mapped, most: number): Generator<bigint> {
    const { frame, pageSize } = walk;
    if (pageSize > PAGE_SIZE) {
      const left = pageSize - Number(at & BigInt(pageSize - 1));
      const pages = Math.min(left / PAGE_SIZE - 1, most);
      for (let page = 1; page <= pages; page++) yield frame + BigInt(page);
      return;
    }
    const { table, index } = walk.steps.at(-1)!;
    for (let next = index + 1; next < 512 && next <= index + most; next++) {
      const entry = this.#tables.entry(table, next);
      if (entry === undefined || (entry & entryBits.present) === 0n) return;
      yield entryFrame(entry);
    }
  }

  /**
   * Bytes of a range that was compared since the last look: its pages are
   * mapped, through the page tables as they were a moment ago.
   */
  #keptBytes(address: bigint, length: number): Uint8Array | undefined {
    for (const [start, { mapping, comparedAt }] of this.#views) {
      if (mapping === undefined || comparedAt !== this.looks) continue;
      const offset = address - start;
      const end = BigInt(mapping.pages * PAGE_SIZE - length);
      if (offset < 0n || offset > end) continue;
      return new Uint8Array(mapping.bytes, Number(offset), length);
    }
    return undefined;
  }

  /** Every mapping of some frames in the kernel half of the address space. */
  aliases(frames: ReadonlySet<bigint>): AliasScan {
    const { root } = this;
    const kept = this.#kept;
    const same = kept?.frames === frames && kept.root === root &&
      kept.scan.complete && this.#tables.same(kept.tables);
    if (same) return kept.scan;
    // First the copy: what changes during the scan differs from it next time
    const tables = this.#tables.copy();
    const scan = findAliases(this.#tables, root, frames);
    this.#kept = { frames, root, tables, scan };
    return scan;
  }

  /** What is mapped in a range of addresses; see `KernelMemory`. */
  mapped(start: bigint, end: bigint, onlyExecutable = false): MappedRanges {
    return mappedRanges(
      this.#tables,
      this.root,
      start,
      end,
      this.#levels,
      onlyExecutable,
    );
  }

  /** Gives every mapping back. */
  [Symbol.dispose](): void {
    this.forgetMappings();
  }
}

/** @param some Positions of the pages to be compared; left out for all */
function differingPages(
  mapping: FrameMapping,
  trusted: Uint8Array<ArrayBuffer>,
  some?: readonly number[],
): number[] {
  if (some === undefined && mapping.equals(0, trusted)) return [];
  const pages = some ?? [...Array(trusted.length / PAGE_SIZE).keys()];
  return pages.filter((page) => {
    const at = page * PAGE_SIZE;
    return !mapping.equals(at, trusted.subarray(at, at + PAGE_SIZE));
  });
}
