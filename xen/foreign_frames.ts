import { UnreadableMemoryError } from "../guestos/memory.ts";
import { constants } from "./constants.ts";
import { XenError } from "./errors.ts";
import { errno } from "./control.ts";
import { PAGE_SIZE } from "./layouts.ts";
import type { Libraries } from "./libraries.ts";

const { PROT_READ } = constants;

/** Guest frames mapped one behind the other, read-only, until unmapped. */
export class ForeignMapping {
  #libraries: Libraries;
  #handle: Deno.PointerValue;
  #pointer: Deno.PointerObject | undefined;
  #bytes: ArrayBuffer | undefined;
  /** Bytes, as the C function takes them */
  readonly #size: bigint;
  readonly pages: number;

  /** Use `ForeignFrames.map`. */
  constructor(
    libraries: Libraries,
    handle: Deno.PointerValue,
    pointer: Deno.PointerObject,
    pages: number,
  ) {
    this.#libraries = libraries;
    this.#handle = handle;
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
    return this.#libraries.libc.symbols.memcmp(
      from,
      trusted,
      length === this.pages * PAGE_SIZE ? this.#size : BigInt(length),
    ) === 0;
  }

  /** Gives the frames back. A mapping that is held keeps a dead domain alive. */
  unmap(): void {
    if (this.#pointer === undefined) return;
    this.#libraries.foreignmemory.symbols.xenforeignmemory_unmap(
      this.#handle,
      this.#pointer,
      BigInt(this.pages),
    );
    this.#pointer = undefined;
    this.#bytes = undefined;
  }
}

/** Maps frames of guests (libxenforeignmemory). */
export class ForeignFrames implements Disposable {
  #libraries: Libraries;
  #handle: Deno.PointerValue;

  /** @throws {XenError} If the privileged command device cannot be opened */
  constructor(libraries: Libraries) {
    this.#libraries = libraries;
    this.#handle = libraries.foreignmemory.symbols.xenforeignmemory_open(
      libraries.logger,
      0,
    );
    if (this.#handle === null) {
      throw new XenError("xenforeignmemory_open", errno(libraries));
    }
  }

  /**
   * Maps frames, read-only, in the order given.
   *
   * @param domain Domain id
   * @param frames Machine frames of a PV guest, guest frames of another
   * @returns The mapping, or the positions of the frames that Xen refused
   */
  map(domain: number, frames: readonly bigint[]): ForeignMapping | number[] {
    const errors = new Int32Array(frames.length);
    const pointer = this.#libraries.foreignmemory.symbols.xenforeignmemory_map(
      this.#handle,
      domain,
      PROT_READ,
      BigInt(frames.length),
      new Uint8Array(new BigUint64Array(frames).buffer),
      new Uint8Array(errors.buffer),
    );
    const refused = frames.map((_, index) => index).filter((index) =>
      errors[index] !== 0
    );
    if (pointer === null) {
      return refused.length > 0 ? refused : frames.map((_, index) => index);
    }
    const mapping = new ForeignMapping(
      this.#libraries,
      this.#handle,
      pointer,
      frames.length,
    );
    // Touching a page that Xen refused is a SIGBUS
    if (refused.length > 0) {
      mapping.unmap();
      return refused;
    }
    return mapping;
  }

  [Symbol.dispose](): void {
    this.#libraries.foreignmemory.symbols.xenforeignmemory_close(this.#handle);
  }
}

/**
 * Maps frames that lie at consecutive guest addresses.
 *
 * @throws {UnreadableMemoryError} With the address of the first frame refused
 */
export function mapRange(
  frames: ForeignFrames,
  domain: number,
  start: bigint,
  list: readonly bigint[],
): ForeignMapping {
  const mapping = frames.map(domain, list);
  if (mapping instanceof ForeignMapping) return mapping;
  throw new UnreadableMemoryError(
    start + BigInt(mapping[0]! * PAGE_SIZE),
    "no-frame",
  );
}
