import type { GuestMemory } from "../memory.ts";

const PAGE_SIZE = 4096;

/**
 * Reads single values of a kernel's data, by offsets from `_text`. A page is
 * read once: all answers are of one time, as nearly as can be had.
 */
export class GuestReader {
  #memory: GuestMemory;
  #base: bigint;
  #pages = new Map<number, DataView>();
  /** Number of the page at the base in {@linkcode #pages} */
  #first = 0;

  /**
   * @param memory The guest's memory
   * @param base Guest virtual address of `_text`
   */
  constructor(memory: GuestMemory, base: bigint) {
    this.#memory = memory;
    this.#base = base;
  }

  /**
   * The same answers by offsets from another address.
   *
   * @param base Whole pages away from the other one
   */
  from(base: bigint): GuestReader {
    const reader = new GuestReader(this.#memory, base);
    reader.#pages = this.#pages;
    reader.#first = this.#first + Number(base - this.#base) / PAGE_SIZE;
    return reader;
  }

  #page(offset: number): DataView {
    const page = Math.floor(offset / PAGE_SIZE);
    const number = this.#first + page;
    let view = this.#pages.get(number);
    if (view === undefined) {
      const bytes = this.#memory.read(
        this.#base + BigInt(page * PAGE_SIZE),
        PAGE_SIZE,
      );
      view = new DataView(bytes.buffer, bytes.byteOffset, PAGE_SIZE);
      this.#pages.set(number, view);
    }
    return view;
  }

  /**
   * Bytes at an offset.
   *
   * @throws {UnreadableMemoryError} If the page cannot be read
   */
  bytes(offset: number, length: number): Uint8Array {
    const result = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const page = this.#page(offset + done);
      const at = inPage(offset + done);
      const part = new Uint8Array(
        page.buffer,
        page.byteOffset + at,
        Math.min(PAGE_SIZE - at, length - done),
      );
      result.set(part, done);
      done += part.length;
    }
    return result;
  }

  /** An unsigned byte. */
  u8(offset: number): number {
    return this.#page(offset).getUint8(inPage(offset));
  }

  /** A signed 32-bit number; the kernel aligns it. */
  s32(offset: number): number {
    const at = inPage(offset);
    return at <= PAGE_SIZE - 4
      ? this.#page(offset).getInt32(at, true)
      : new DataView(this.bytes(offset, 4).buffer).getInt32(0, true);
  }

  /** An unsigned 64-bit number; the kernel aligns it. */
  u64(offset: number): bigint {
    const at = inPage(offset);
    return at <= PAGE_SIZE - 8
      ? this.#page(offset).getBigUint64(at, true)
      : new DataView(this.bytes(offset, 8).buffer).getBigUint64(0, true);
  }

  /** A pointer into the image, as an offset; `undefined` if it is null. */
  pointer(offset: number): number | undefined {
    const address = this.u64(offset);
    return address === 0n ? undefined : Number(address - this.#base);
  }
}

/** Offsets may be negative. */
function inPage(offset: number): number {
  return offset - Math.floor(offset / PAGE_SIZE) * PAGE_SIZE;
}
