import { errno } from "./control.ts";
import { XenError } from "./errors.ts";
import type { GateRequests } from "./gate_requests.ts";
import type { XenHost } from "./host.ts";

/** The event channels of the virtual CPUs that ask a write gate. */
export class GateChannels implements Disposable {
  #host: XenHost;
  #handle: Deno.PointerValue;
  /** Virtual CPU by local port */
  #vcpus = new Map<number, number>();

  /**
   * @param vcpus Virtual CPUs to serve
   * @throws {XenError} If one cannot be bound: another process has it
   */
  constructor(
    host: XenHost,
    domain: number,
    requests: GateRequests,
    vcpus: Iterable<number>,
  ) {
    this.#host = host;
    const { libraries } = host;
    const { symbols } = libraries.evtchn;
    this.#handle = symbols.xenevtchn_open(libraries.logger, 0);
    if (this.#handle === null) {
      throw new XenError("xenevtchn_open", errno(libraries));
    }
    for (const vcpu of vcpus) {
      const local = symbols.xenevtchn_bind_interdomain(
        this.#handle,
        domain,
        requests.port(vcpu),
      );
      if (local < 0) {
        const code = errno(libraries);
        this[Symbol.dispose]();
        throw new XenError("xenevtchn_bind_interdomain", code);
      }
      this.#vcpus.set(local, vcpu);
    }
  }

  /** Readable when a virtual CPU has asked. */
  get fd(): number {
    return this.#host.libraries.evtchn.symbols.xenevtchn_fd(this.#handle);
  }

  /** The next virtual CPU that has asked, if `fd` is readable. */
  pending(): number | undefined {
    const { symbols } = this.#host.libraries.evtchn;
    const port = symbols.xenevtchn_pending(this.#handle);
    if (port < 0) return undefined;
    // It asks again only after an answer: what comes then is another request
    symbols.xenevtchn_unmask(this.#handle, port);
    return this.#vcpus.get(port);
  }

  /** Lets a virtual CPU look for its answer. */
  notify(vcpu: number): void {
    const { symbols } = this.#host.libraries.evtchn;
    for (const [port, served] of this.#vcpus) {
      if (served === vcpu) symbols.xenevtchn_notify(this.#handle, port);
    }
  }

  [Symbol.dispose](): void {
    this.#host.libraries.evtchn.symbols.xenevtchn_close(this.#handle);
  }
}
