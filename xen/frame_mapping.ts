import { UnreadableMemoryError } from "../guestos/memory.ts";
import { PAGE_SIZE } from "./layouts.ts";
import type { Libraries } from "./libraries.ts";

type Libc = Libraries["libc"];

/** Where the frames of one guest can be had: a running domain, or a core. */
export interface FrameSource {
  /**
   * Maps frames, read-only, in the order given.
   *
   * @param frames Machine frames of a PV guest, guest frames of another
   * @returns The mapping, or the positions of the frames that cannot be had
   */
  map(frames: readonly bigint[]): FrameMapping | number[];
}

/** Guest frames mapped one behind the other until unmapped. */
export class FrameMapping implements Disposable {
  #libc: Libc;
  #release: () => void;
  #renew: (() => boolean) | undefined;
  #pointer: Deno.PointerObject | undefined;
  #bytes: ArrayBuffer | undefined;
  /** Bytes, as the C function takes them */
  readonly #size: bigint;
  readonly pages: number;

  /**
   * @param libc Compares
   * @param pointer Where the first frame lies
   * @param pages Number of frames
   * @param release Gives the memory back
   * @param renew Maps the frames again at the same place, or gives the memory
   *   back and says no; left out where nothing comes in their place
   */
  constructor(
    libc: Libc,
    pointer: Deno.PointerObject,
    pages: number,
    release: () => void,
    renew?: () => boolean,
  ) {
    this.#libc = libc;
    this.#release = release;
    this.#renew = renew;
    this.#pointer = pointer;
    this.pages = pages;
    this.#size = BigInt(pages * PAGE_SIZE);
    this.#bytes = Deno.UnsafePointerView.getArrayBuffer(
      pointer,
      pages * PAGE_SIZE,
    );
  }

  /**
   * The memory itself, not a copy: the guest changes it at any time, and it
   * must not be used after `unmap`.
   */
  get bytes(): ArrayBuffer {
    if (this.#bytes === undefined) throw new TypeError("Mapping is gone");
    return this.#bytes;
  }

  /**
   * Compares with a trusted copy at the speed of libc.
   *
   * @param offset Bytes from the start of the mapping
   * @param trusted What should be there
   */
  equals(offset: number, trusted: Uint8Array<ArrayBuffer>): boolean {
    if (this.#pointer === undefined) throw new TypeError("Mapping is gone");
    const { length } = trusted;
    if (offset < 0 || offset + length > this.pages * PAGE_SIZE) {
      throw new RangeError("The comparison leaves the mapping");
    }
    const from = offset === 0
      ? this.#pointer
      : Deno.UnsafePointer.offset(this.#pointer, offset);
    return this.#libc.symbols.memcmp(
      from,
      trusted,
      length === this.pages * PAGE_SIZE ? this.#size : BigInt(length),
    ) === 0;
  }

  /**
   * Maps the same frames again, at the same place: a guest may have had others
   * put in their place, with their numbers.
   *
   * @returns Whether it is a mapping still: each frame can be had
   */
  renew(): boolean {
    if (this.#pointer === undefined) throw new TypeError("Mapping is gone");
    const renewed = this.#renew?.() ?? true;
    if (!renewed) this.#forget();
    return renewed;
  }

  /** Gives the frames back. A mapping that is held keeps a dead domain alive. */
  unmap(): void {
    if (this.#pointer === undefined) return;
    this.#release();
    this.#forget();
  }

  #forget(): void {
    this.#pointer = undefined;
    this.#bytes = undefined;
  }

  /** See `unmap`. */
  [Symbol.dispose](): void {
    this.unmap();
  }
}

/**
 * Maps frames that lie at consecutive guest addresses.
 *
 * @throws {UnreadableMemoryError} With the address of the first frame refused
 */
export function mapRange(
  frames: FrameSource,
  start: bigint,
  list: readonly bigint[],
): FrameMapping {
  const mapping = frames.map(list);
  if (mapping instanceof FrameMapping) return mapping;
  throw new UnreadableMemoryError(
    start + BigInt(mapping[0]! * PAGE_SIZE),
    "no-frame",
  );
}
