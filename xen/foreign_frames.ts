import { constants } from "./constants.ts";
import { errno } from "./control.ts";
import { XenError } from "./errors.ts";
import { FrameMapping, type FrameSource } from "./frame_mapping.ts";
import { PAGE_SIZE } from "./layouts.ts";
import type { Libraries } from "./libraries.ts";

const {
  PROT_READ,
  PROT_WRITE,
  XENMEM_resource_ioreq_server,
  XENMEM_resource_ioreq_server_frame_ioreq_0,
} = constants;

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
   * Maps frames, read-only unless said otherwise, in the order given.
   *
   * @param domain Domain id
   * @param frames Machine frames of a PV guest, guest frames of another
   * @param writable Whether they can be written, too: not page tables of a PV
   *   guest
   * @returns The mapping, or the positions of the frames that Xen refused
   */
  map(
    domain: number,
    frames: readonly bigint[],
    writable = false,
  ): FrameMapping | number[] {
    const errors = new Int32Array(frames.length);
    const pointer = this.#libraries.foreignmemory.symbols.xenforeignmemory_map(
      this.#handle,
      domain,
      writable ? PROT_READ | PROT_WRITE : PROT_READ,
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

  /**
   * Maps the page with the requests to an ioreq server, one `ioreq_t` for each
   * virtual CPU, to be read and written.
   *
   * @param domain Domain id
   * @param server Id of the server
   * @throws {XenError} If Xen refuses
   */
  mapRequests(
    domain: number,
    server: number,
  ): { readonly bytes: ArrayBuffer } & Disposable {
    const { symbols } = this.#libraries.foreignmemory;
    const address = new BigUint64Array(1);
    const resource = symbols.xenforeignmemory_map_resource(
      this.#handle,
      domain,
      XENMEM_resource_ioreq_server,
      server,
      BigInt(XENMEM_resource_ioreq_server_frame_ioreq_0),
      1n,
      new Uint8Array(address.buffer),
      PROT_READ | PROT_WRITE,
      0,
    );
    if (resource === null) {
      throw new XenError(
        "xenforeignmemory_map_resource",
        errno(this.#libraries),
      );
    }
    return {
      bytes: Deno.UnsafePointerView.getArrayBuffer(
        Deno.UnsafePointer.create(address[0]!)!,
        PAGE_SIZE,
      ),
      [Symbol.dispose]: () => {
        symbols.xenforeignmemory_unmap_resource(this.#handle, resource);
      },
    };
  }

  /** The frames of one domain. */
  of(domain: number): FrameSource {
    return { map: (frames) => this.map(domain, frames) };
  }

  [Symbol.dispose](): void {
    this.#libraries.foreignmemory.symbols.xenforeignmemory_close(this.#handle);
  }
}
