import { constants } from "./constants.ts";
import { errno } from "./control.ts";
import { XenError } from "./errors.ts";
import { FrameMapping, type FrameSource } from "./frame_mapping.ts";
import type { Libraries } from "./libraries.ts";

const { PROT_READ } = constants;

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
  map(domain: number, frames: readonly bigint[]): FrameMapping | number[] {
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
    const mapping = new FrameMapping(
      this.#libraries.libc,
      pointer,
      frames.length,
      () =>
        this.#libraries.foreignmemory.symbols.xenforeignmemory_unmap(
          this.#handle,
          pointer,
          BigInt(frames.length),
        ),
    );
    // Touching a page that Xen refused is a SIGBUS
    if (refused.length > 0) {
      mapping.unmap();
      return refused;
    }
    return mapping;
  }

  /** The frames of one domain. */
  of(domain: number): FrameSource {
    return { map: (frames) => this.map(domain, frames) };
  }

  [Symbol.dispose](): void {
    this.#libraries.foreignmemory.symbols.xenforeignmemory_close(this.#handle);
  }
}
