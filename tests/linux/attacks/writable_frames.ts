import { constants } from "../../../xen/constants.ts";
import { errno } from "../../../xen/control.ts";
import { XenError } from "../../../xen/errors.ts";
import { PAGE_SIZE } from "../../../xen/layouts.ts";
import type { Libraries } from "../../../xen/libraries.ts";

const { PROT_READ, PROT_WRITE } = constants;

/** Writes frames of one guest, which xkmon itself never does. */
export class WritableFrames implements Disposable {
  #libraries: Libraries;
  #handle: Deno.PointerValue;
  #domain: number;

  /** @param domain Domain id */
  constructor(libraries: Libraries, domain: number) {
    this.#libraries = libraries;
    this.#domain = domain;
    this.#handle = libraries.foreignmemory.symbols.xenforeignmemory_open(
      libraries.logger,
      0,
    );
  }

  /**
   * Writes bytes into one frame.
   *
   * @param frame Machine frame of a PV guest, guest frame of another
   * @param offset Bytes from the start of the frame
   * @throws {XenError} If Xen refuses, as for page tables of a PV guest
   */
  write(frame: bigint, offset: number, bytes: Uint8Array): void {
    const { symbols } = this.#libraries.foreignmemory;
    const errors = new Int32Array(1);
    const pointer = symbols.xenforeignmemory_map(
      this.#handle,
      this.#domain,
      PROT_READ | PROT_WRITE,
      1n,
      new Uint8Array(new BigUint64Array([frame]).buffer),
      new Uint8Array(errors.buffer),
    );
    if (pointer === null || errors[0] !== 0) {
      throw new XenError(
        "xenforeignmemory_map",
        -errors[0]! || errno(this.#libraries),
      );
    }
    const memory = Deno.UnsafePointerView.getArrayBuffer(pointer, PAGE_SIZE);
    new Uint8Array(memory).set(bytes, offset);
    symbols.xenforeignmemory_unmap(this.#handle, pointer, 1n);
  }

  [Symbol.dispose](): void {
    this.#libraries.foreignmemory.symbols.xenforeignmemory_close(this.#handle);
  }
}
