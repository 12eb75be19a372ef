import { XenError } from "./errors.ts";
import type { EventLoop } from "./event_loop.ts";
import { flagsOf } from "./flags_of.ts";
import type { XenHost } from "./host.ts";
import { domainFlags } from "./layouts.ts";
import { MonitorRing } from "./monitor_ring.ts";
import { unlessGone } from "./unless_gone.ts";
import type { VmAnswer, VmEvent } from "./vm_event.ts";
import type { GatedDomain } from "./gated_domain.ts";

/**
 * Virtual CPUs of a guest at most. Where more of them wait than the ring has
 * room for, Xen gives none of them back while it is full.
 */
export const MAX_EVENT_VCPUS = 7;

/** What becomes of events that no listener is there for, as far as they cannot go on. */
const UNASKED: Readonly<Partial<Record<VmEvent["kind"], VmAnswer>>> = {
  "step": "end steps",
  "descriptor table": "emulate",
};

/** Who waits for events of a guest. */
export interface EventListener {
  /** Answers an event; nothing if it is not for this one */
  answer(event: VmEvent): VmAnswer | undefined;
  /** Events end: what is told is to end before */
  ending?(): void;
  /** No event comes any more; virtual CPUs may still wait */
  ended?(): void;
}

/**
 * The events of a PVH or HVM guest, for all who wait for them: Xen has one ring
 * for a guest. If this process dies, `endMonitorEvents` undoes it.
 */
export class MonitorEvents implements Disposable {
  #host: XenHost;
  #domain: GatedDomain;
  #listeners = new Set<EventListener>();
  #ring: MonitorRing;

  /**
   * @throws {RangeError} If the guest has more than 7 virtual CPUs
   * @throws {XenError} If Xen refuses: EBUSY if another process listens
   */
  constructor(host: XenHost, loop: EventLoop, domain: GatedDomain) {
    if (domain.maxVcpus > MAX_EVENT_VCPUS) {
      throw new RangeError(
        `${domain.maxVcpus} virtual CPUs: a ring of events serves ${MAX_EVENT_VCPUS}`,
      );
    }
    this.#host = host;
    this.#domain = domain;
    this.#ring = new MonitorRing(
      host,
      loop,
      domain.id,
      (event) => this.#answer(event),
    );
  }

  add(listener: EventListener): void {
    this.#listeners.add(listener);
  }

  remove(listener: EventListener): void {
    this.#listeners.delete(listener);
  }

  /** Makes the answer to the next event faster: see `MonitorRing`. */
  rehearse(): void {
    this.#ring.rehearse();
  }

  #answer(event: VmEvent): VmAnswer {
    for (const listener of this.#listeners) {
      const answer = listener.answer(event);
      if (answer !== undefined) return answer;
    }
    return UNASKED[event.kind] ?? "go on";
  }

  /** Ends all events; who waits for an answer goes on. */
  [Symbol.dispose](): void {
    for (const listener of this.#listeners) listener.ending?.();
    this.#ring[Symbol.dispose]();
    for (const listener of this.#listeners) listener.ended?.();
    releaseWaiting(this.#host, this.#domain);
  }
}

/**
 * Ends the events of a process that has died; who waits for an answer goes on.
 *
 * @throws {XenError} If Xen refuses
 */
export function endMonitorEvents(host: XenHost, domain: GatedDomain): void {
  const { control } = host;
  endTableEvents(host, domain.id);
  unlessGone(() => control.disableMonitor(domain.id));
  for (let vcpu = 0; vcpu < domain.maxVcpus; vcpu++) {
    unlessGone(() => control.endSteps(domain.id, vcpu));
  }
  releaseWaiting(host, domain);
}

/**
 * Has no access to a descriptor table register told any more, if any was. While
 * one is, the processor stops at it, whether or not there is a ring.
 *
 * @throws {XenError} If Xen refuses
 */
export function endTableEvents({ control }: XenHost, domain: number): void {
  try {
    unlessGone(() => control.tellDescriptorTables(domain, false));
  } catch (error) {
    if (!(error instanceof XenError) || error.code !== "EEXIST") throw error;
  }
}

/**
 * Xen keeps a virtual CPU waiting beyond the end of its ring, and takes its
 * answer from the next one. One that is being taken apart gets none, and nobody
 * of it goes on.
 */
function releaseWaiting(host: XenHost, { id, maxVcpus }: GatedDomain): void {
  const noLoop = { add: () => {}, remove: () => {} };
  try {
    unlessGone(() => {
      using ring = new MonitorRing(host, noLoop, id, () => "go on");
      for (let vcpu = 0; vcpu < maxVcpus; vcpu++) ring.release(vcpu);
    });
  } catch (error) {
    if ((flagsOf(host.control, id) & domainFlags.dying) === 0) throw error;
  }
}
