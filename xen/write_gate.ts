import { disclaimGate } from "./disclaim_gate.ts";
import type { EventLoop } from "./event_loop.ts";
import { BACK_OFF_MS, EventRate } from "./event_rate.ts";
import { GateChannels } from "./gate_channels.ts";
import { type GatedWrite, GateRequests } from "./gate_requests.ts";
import type { GatedDomain } from "./gated_domain.ts";
import type { XenHost } from "./host.ts";
import { ioreq, PAGE_SIZE } from "./layouts.ts";
import { dropWaitingWrites, type PausedGuest } from "./drop_waiting_writes.ts";
import { unlessGone } from "./unless_gone.ts";

/** Requests on the page that is mapped */
export const MAX_GATE_VCPUS = PAGE_SIZE / ioreq.size;

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
  #domain: GatedDomain;
  #written: (write: GatedWrite) => void;
  #requests: GateRequests;
  #channels: GateChannels;
  #rate = new EventRate();
  #timers = new Set<ReturnType<typeof setTimeout>>();
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
    domain: GatedDomain,
    created: (server: number) => void,
    written: (write: GatedWrite) => void,
  ) {
    const { id, maxVcpus } = domain;
    if (maxVcpus > MAX_GATE_VCPUS) {
      throw new RangeError(
        `${maxVcpus} virtual CPUs: a write gate serves ${MAX_GATE_VCPUS}`,
      );
    }
    this.#host = host;
    this.#domain = domain;
    this.#written = written;
    const { deviceModel } = host;
    using stack = new DisposableStack();
    this.server = deviceModel.createServer(id);
    created(this.server);
    stack.defer(() =>
      unlessGone(() => deviceModel.destroyServer(id, this.server))
    );
    this.#requests = stack.use(new GateRequests(host, id, this.server));
    // Only now are there channels in the requests
    deviceModel.enableServer(id, this.server);
    this.#channels = stack.use(
      new GateChannels(host, id, this.#requests, Array(maxVcpus).keys()),
    );
    const { fd } = this.#channels;
    loop.add(fd, () => this.#takeEvent());
    stack.defer(() => loop.remove(fd));
    deviceModel.claimGated(id, this.server, true);
    const requests = this.#requests;
    const channels = this.#channels;
    stack.defer(() =>
      unlessGone(() =>
        disclaimGate(host, domain, this.server, requests, channels)
      )
    );
    this.#stack = stack.move();
  }

  /**
   * Keeps the guest from writing to pages.
   *
   * @param frames Guest frames of ordinary memory
   * @throws {XenError} If Xen refuses one: those before it are gated
   */
  close(frames: readonly bigint[]): void {
    this.#host.deviceModel.setMemoryType(this.#domain.id, frames, "gated");
  }

  #takeEvent(): void {
    const vcpu = this.#channels.pending();
    if (vcpu === undefined || !this.#requests.waits(vcpu)) return;
    if (this.#rate.next()) this.#answer(vcpu);
    else this.#answerLater(vcpu);
  }

  /** It is only its own time that a guest loses. */
  #answerLater(vcpu: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      this.#answer(vcpu);
    }, BACK_OFF_MS);
    this.#timers.add(timer);
  }

  #answer(vcpu: number): void {
    try {
      const write = this.#requests.take(vcpu);
      if (write !== undefined) this.#written(write);
    } finally {
      this.#requests.answer(vcpu);
      this.#channels.notify(vcpu);
    }
  }

  /**
   * Lets the guest write to all pages again, and go on if it waits; what waits
   * is dropped without a word.
   *
   * @param paused The guest, which must be paused
   * @throws {XenError} If Xen refuses
   */
  end(paused: PausedGuest): void {
    using _gate = this;
    dropWaitingWrites(
      this.#requests,
      this.#channels,
      this.#domain.maxVcpus,
      paused,
    );
  }

  /** Ends it at once: on some releases a write that waits lands. */
  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    this.#stack[Symbol.dispose]();
  }
}
