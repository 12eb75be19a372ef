import { constants } from "./constants.ts";
import type { XenHost } from "./host.ts";
import { ioreq, ioreqBits } from "./layouts.ts";

const {
  IOREQ_TYPE_COPY,
  STATE_IOREQ_READY,
  STATE_IOREQ_INPROCESS,
  STATE_IORESP_READY,
} = constants;

/** A write of the guest that did not land. */
export interface GatedWrite {
  /** Who wrote: it stands at the instruction until this has been told */
  readonly vcpu: number;
  /** Guest physical address of the first byte */
  readonly address: bigint;
  /** Bytes of one access, as the processor made it */
  readonly size: number;
  /** Accesses, one after the other */
  readonly count: number;
  /** What was to be written, unless it lies in the guest's memory */
  readonly data?: bigint;
}

/** The page on which a guest's virtual CPUs ask a write gate, and wait. */
export class GateRequests implements Disposable {
  #mapping: { readonly bytes: ArrayBuffer } & Disposable;
  #page: DataView;

  /**
   * @param server Id of the gate's ioreq server
   * @throws {XenError} If Xen refuses
   */
  constructor({ frames }: XenHost, domain: number, server: number) {
    this.#mapping = frames.mapRequests(domain, server);
    this.#page = new DataView(this.#mapping.bytes);
  }

  /** Port of a virtual CPU's event channel, on the guest's side. */
  port(vcpu: number): number {
    return this.#page.getUint32(vcpu * ioreq.size + ioreq.vp_eport, true);
  }

  /** Whether a virtual CPU waits for an answer. */
  waits(vcpu: number): boolean {
    const state = this.#bits(vcpu) & ioreqBits.state;
    return state === STATE_IOREQ_READY || state === STATE_IOREQ_INPROCESS;
  }

  /** Whether a virtual CPU has not taken the answer to its request yet. */
  isAnswered(vcpu: number): boolean {
    return (this.#bits(vcpu) & ioreqBits.state) === STATE_IORESP_READY;
  }

  /**
   * Takes the request of a virtual CPU.
   *
   * @returns Nothing if it is none to write: Xen also has every server hear
   *   that the guest gave memory back (`IOREQ_TYPE_INVALIDATE`), and waits
   */
  take(vcpu: number): GatedWrite | undefined {
    const at = vcpu * ioreq.size;
    const bits = this.#bits(vcpu);
    this.#setState(vcpu, STATE_IOREQ_INPROCESS);
    const type = this.#page.getUint8(at + ioreq.type);
    if (type !== IOREQ_TYPE_COPY || (bits & ioreqBits.dir) !== 0) {
      return undefined;
    }
    const inMemory = (bits & ioreqBits.data_is_ptr) !== 0;
    return {
      vcpu,
      address: this.#page.getBigUint64(at + ioreq.addr, true),
      size: this.#page.getUint32(at + ioreq.bytes, true),
      count: this.#page.getUint32(at + ioreq.count, true),
      ...(inMemory
        ? {}
        : { data: this.#page.getBigUint64(at + ioreq.data, true) }),
    };
  }

  /** Says that a request is done; its virtual CPU learns it by its channel. */
  answer(vcpu: number): void {
    this.#setState(vcpu, STATE_IORESP_READY);
  }

  #bits(vcpu: number): number {
    return this.#page.getUint8(vcpu * ioreq.size + ioreq.bits);
  }

  #setState(vcpu: number, state: number): void {
    this.#page.setUint8(
      vcpu * ioreq.size + ioreq.bits,
      this.#bits(vcpu) & ~ioreqBits.state | state,
    );
  }

  [Symbol.dispose](): void {
    this.#mapping[Symbol.dispose]();
  }
}
