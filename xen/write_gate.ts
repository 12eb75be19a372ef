import { constants } from "./constants.ts";
import { errno } from "./control.ts";
import { endWriteGate } from "./end_write_gate.ts";
import { XenError } from "./errors.ts";
import type { EventLoop } from "./event_loop.ts";
import type { XenHost } from "./host.ts";
import { ioreq, ioreqBits, PAGE_SIZE } from "./layouts.ts";

const { STATE_IOREQ_READY, STATE_IOREQ_INPROCESS, STATE_IORESP_READY } =
  constants;

/** Requests on the page that is mapped */
const MAX_VCPUS = PAGE_SIZE / ioreq.size;

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

/**
 * Keeps a PVH or HVM guest from writing to pages of its own, and tells what it
 * tried. It can read them; code on them does not run. Writes that Xen makes for
 * the guest are stopped as well.
 *
 * The pages get the type whose writes Xen leaves to an emulator of devices
 * (`HVMMEM_ioreq_server`), and this one drops them. A guest that writes waits
 * for the answer: if this process dies, until `endWriteGate` is called.
 */
export class WriteGate implements Disposable {
  /** Id of the ioreq server, for `endWriteGate` */
  readonly server: number;
  #host: XenHost;
  #domain: number;
  #written: (write: GatedWrite) => void;
  #evtchn: Deno.PointerValue;
  #page: DataView;
  /** Virtual CPU by local port */
  #vcpus = new Map<number, number>();
  #stack: DisposableStack;

  /**
   * @param created Gets the server's id before a guest can wait for it
   * @param written Gets each write before the guest goes on
   * @throws {RangeError} If the guest has more than 128 virtual CPUs
   * @throws {XenError} If Xen refuses: EINVAL for a PV guest, or if another
   *   emulator has claimed the type
   */
  constructor(
    host: XenHost,
    loop: EventLoop,
    { id, maxVcpus }: { readonly id: number; readonly maxVcpus: number },
    created: (server: number) => void,
    written: (write: GatedWrite) => void,
  ) {
    if (maxVcpus > MAX_VCPUS) {
      throw new RangeError(
        `${maxVcpus} virtual CPUs: a write gate serves ${MAX_VCPUS}`,
      );
    }
    this.#host = host;
    this.#domain = id;
    this.#written = written;
    const { deviceModel, frames, libraries } = host;
    const { symbols } = libraries.evtchn;
    using stack = new DisposableStack();
    this.#evtchn = symbols.xenevtchn_open(libraries.logger, 0);
    if (this.#evtchn === null) {
      throw new XenError("xenevtchn_open", errno(libraries));
    }
    stack.defer(() => symbols.xenevtchn_close(this.#evtchn));
    this.server = deviceModel.createServer(id);
    created(this.server);
    stack.defer(() => endWriteGate(host, id, this.server));
    const requests = stack.use(frames.mapRequests(id, this.server));
    this.#page = new DataView(requests.bytes);
    // Only now are there channels in the requests
    deviceModel.enableServer(id, this.server);
    for (let vcpu = 0; vcpu < maxVcpus; vcpu++) this.#bind(vcpu);
    const fd = symbols.xenevtchn_fd(this.#evtchn);
    loop.add(fd, () => this.#takeEvent());
    stack.defer(() => loop.remove(fd));
    deviceModel.claimGated(id, this.server, true);
    this.#stack = stack.move();
  }

  #bind(vcpu: number): void {
    const { libraries } = this.#host;
    const port = libraries.evtchn.symbols.xenevtchn_bind_interdomain(
      this.#evtchn,
      this.#domain,
      this.#page.getUint32(vcpu * ioreq.size + ioreq.vp_eport, true),
    );
    if (port < 0) {
      throw new XenError("xenevtchn_bind_interdomain", errno(libraries));
    }
    this.#vcpus.set(port, vcpu);
  }

  /**
   * Keeps the guest from writing to pages.
   *
   * @param frames Guest frames of ordinary memory
   * @throws {XenError} If Xen refuses one: those before it are gated
   */
  close(frames: readonly bigint[]): void {
    this.#host.deviceModel.setMemoryType(this.#domain, frames, "gated");
  }

  /**
   * Lets it write to pages again.
   *
   * @throws {XenError} If Xen refuses one: those before it are open
   */
  open(frames: readonly bigint[]): void {
    this.#host.deviceModel.setMemoryType(this.#domain, frames, "writable");
  }

  #takeEvent(): void {
    const { symbols } = this.#host.libraries.evtchn;
    const port = symbols.xenevtchn_pending(this.#evtchn);
    if (port < 0) return;
    // Xen sends one for each request: what comes after the answer is the next
    symbols.xenevtchn_unmask(this.#evtchn, port);
    const vcpu = this.#vcpus.get(port);
    if (vcpu !== undefined) this.#answer(vcpu, port);
  }

  /** Takes the request of a virtual CPU, if there is one, and lets it go on. */
  #answer(vcpu: number, port: number): void {
    const at = vcpu * ioreq.size;
    const bits = this.#page.getUint8(at + ioreq.bits);
    if ((bits & ioreqBits.state) !== STATE_IOREQ_READY) return;
    this.#setState(at, bits, STATE_IOREQ_INPROCESS);
    const inMemory = (bits & ioreqBits.data_is_ptr) !== 0;
    const write: GatedWrite = {
      vcpu,
      address: this.#page.getBigUint64(at + ioreq.addr, true),
      size: this.#page.getUint32(at + ioreq.bytes, true),
      count: this.#page.getUint32(at + ioreq.count, true),
      ...(inMemory
        ? {}
        : { data: this.#page.getBigUint64(at + ioreq.data, true) }),
    };
    try {
      if ((bits & ioreqBits.dir) === 0) this.#written(write);
    } finally {
      this.#setState(at, bits, STATE_IORESP_READY);
      this.#host.libraries.evtchn.symbols.xenevtchn_notify(this.#evtchn, port);
    }
  }

  #setState(at: number, bits: number, state: number): void {
    this.#page.setUint8(at + ioreq.bits, bits & ~ioreqBits.state | state);
  }

  /** Lets the guest write to all pages again, and go on if it waits. */
  [Symbol.dispose](): void {
    this.#stack[Symbol.dispose]();
  }
}
