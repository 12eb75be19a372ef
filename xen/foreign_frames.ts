import { constants } from "./constants.ts";
import { errno } from "./control.ts";
import { XenError } from "./errors.ts";
import { FrameMapping, type FrameSource } from "./frame_mapping.ts";
import { PAGE_SIZE } from "./layouts.ts";
import type { Libraries } from "./libraries.ts";

const {
  DOMID_SELF,
  MAP_FIXED,
  PROT_READ,
  PROT_WRITE,
  XENMEM_resource_ioreq_server,
  XENMEM_resource_ioreq_server_frame_ioreq_0,
} = constants;

const NONE: ReadonlySet<bigint> = new Set();

/** What a call gave: where, and an error for each frame */
interface Mapped {
  readonly pointer: Deno.PointerValue;
  readonly errors: Int32Array;
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
   * Maps frames, read-only unless said otherwise, in the order given.
   *
   * @param domain Domain id
   * @param frames Machine frames of a PV guest, guest frames of another
   * @param own Frames that are Dom0's, wherever among them
   * @returns The mapping, or the positions of the frames that Xen refused
   */
  map(
    domain: number,
    frames: readonly bigint[],
    own: ReadonlySet<bigint> = NONE,
  ): FrameMapping | number[] {
    const foreign = frames.find((frame) => !own.has(frame));
    if (foreign === undefined) {
      return this.#finish(frames, this.#map(DOMID_SELF, frames, PROT_READ));
    }
    // A call is for the frames of one domain: others get their place, for now
    const result = this.#map(
      domain,
      frames.map((frame) => own.has(frame) ? foreign : frame),
      PROT_READ,
    );
    if (result.pointer !== null) {
      for (const { at, length } of runs(frames, own)) {
        const place = Deno.UnsafePointer.offset(result.pointer, at * PAGE_SIZE);
        const { errors } = this.#mapOver(
          DOMID_SELF,
          place!,
          frames.slice(at, at + length),
        );
        result.errors.set(errors, at);
      }
    }
    return this.#finish(
      frames,
      result,
      frames.some((frame) => own.has(frame)) ? undefined : domain,
    );
  }

  #map(domain: number, frames: readonly bigint[], protection: number): Mapped {
    const errors = new Int32Array(frames.length);
    const pointer = this.#libraries.foreignmemory.symbols.xenforeignmemory_map(
      this.#handle,
      domain,
      protection,
      BigInt(frames.length),
      new Uint8Array(new BigUint64Array(frames).buffer),
      new Uint8Array(errors.buffer),
    );
    return { pointer, errors };
  }

  /** Maps frames in place of what is mapped. */
  #mapOver(
    domain: number,
    place: Deno.PointerObject,
    frames: readonly bigint[],
  ): Mapped {
    const errors = new Int32Array(frames.length);
    const pointer = this.#libraries.foreignmemory.symbols.xenforeignmemory_map2(
      this.#handle,
      domain,
      place,
      PROT_READ,
      MAP_FIXED,
      BigInt(frames.length),
      new Uint8Array(new BigUint64Array(frames).buffer),
      new Uint8Array(errors.buffer),
    );
    if (pointer === null) errors.fill(-1);
    return { pointer, errors };
  }

  /** Maps frames again where they are mapped; if that fails, no more. */
  #renew(
    domain: number,
    place: Deno.PointerObject,
    frames: readonly bigint[],
  ): boolean {
    const { pointer, errors } = this.#mapOver(domain, place, frames);
    const done = errors.every((error) => error === 0);
    // Where the call fails the library has unmapped all, or rarely nothing: who
    // unmaps it once more may hit what another thread has there by now
    if (!done && pointer !== null) this.#unmap(place, frames.length);
    return done;
  }

  /** @param domain Whose frames all of them are, if they can be mapped again */
  #finish(
    frames: readonly bigint[],
    { pointer, errors }: Mapped,
    domain?: number,
  ): FrameMapping | number[] {
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
      () => this.#unmap(pointer, frames.length),
      domain === undefined
        ? undefined
        : () => this.#renew(domain, pointer, frames),
    );
    // Touching a page that Xen refused is a SIGBUS
    if (refused.length > 0) {
      mapping.unmap();
      return refused;
    }
    return mapping;
  }

  #unmap(pointer: Deno.PointerObject, pages: number): void {
    this.#libraries.foreignmemory.symbols.xenforeignmemory_unmap(
      this.#handle,
      pointer,
      BigInt(pages),
    );
  }

  /**
   * Maps frames to be read and written: not page tables of a PV guest.
   *
   * @throws {RangeError} If Xen refuses one
   */
  mapWritable(domain: number, frames: readonly bigint[]): FrameMapping {
    const mapped = this.#map(domain, frames, PROT_READ | PROT_WRITE);
    const mapping = this.#finish(frames, mapped);
    if (mapping instanceof FrameMapping) return mapping;
    const refused = frames[mapping[0]!]!;
    throw new RangeError(
      `Xen refuses writes to frame 0x${refused.toString(16)}`,
    );
  }

  /**
   * Fills frames of Dom0.
   *
   * @param frames Machine frames
   * @param bytes Their contents, one page behind the other
   * @throws {RangeError} If Xen refuses
   */
  fill(frames: readonly bigint[], bytes: Uint8Array): void {
    using mapping = this.mapWritable(DOMID_SELF, frames);
    new Uint8Array(mapping.bytes).set(bytes);
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

  /**
   * The frames of one domain.
   *
   * @param own Frames of Dom0 that the domain maps; may change at any time
   */
  of(domain: number, own?: ReadonlySet<bigint>): FrameSource {
    return { map: (frames) => this.map(domain, frames, own) };
  }

  [Symbol.dispose](): void {
    this.#libraries.foreignmemory.symbols.xenforeignmemory_close(this.#handle);
  }
}

/** Where frames of a set lie one behind the other in a list. */
function* runs(
  frames: readonly bigint[],
  set: ReadonlySet<bigint>,
): Generator<{ at: number; length: number }> {
  for (let at = 0; at < frames.length;) {
    let end = at;
    while (end < frames.length && set.has(frames[end]!)) end++;
    if (end > at) yield { at, length: end - at };
    at = end + 1;
  }
}
