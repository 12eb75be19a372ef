import type { EventLoop } from "./event_loop.ts";
import type { GatedDomain } from "./write_gate.ts";
import type { XenHost } from "./host.ts";
import { MonitorRing } from "./monitor_ring.ts";
import type { StoppedWrite } from "./protection.ts";
import { unlessGone } from "./unless_gone.ts";
import type { VmAnswer, VmEvent } from "./vm_event.ts";

/**
 * Virtual CPUs of a guest at most. Where more of them have written than the
 * ring has room for, Xen gives none of them back while it is full.
 */
const MAX_VCPUS = 7;

/**
 * Keeps a PVH or HVM guest from writing to pages of its own, and tells what it
 * tried. It can read and execute them. Processors of Intel only.
 *
 * The pages' entries in the tables that map guest frames (EPT) are read-only;
 * Xen sends an event for each write (`mem_access`), and this answers that it is
 * to be emulated with nothing written. A guest that writes waits for the answer:
 * if this process dies, until `endWriteTrap` is called. Writes that Xen makes
 * for the guest are not stopped.
 */
export class WriteTrap implements Disposable {
  #host: XenHost;
  #domain: GatedDomain;
  #written: (write: StoppedWrite) => void;
  #frames = new Set<bigint>();
  #ring: MonitorRing;

  /**
   * @param written Gets each write before the guest goes on
   * @throws {RangeError} If the guest has more than 7 virtual CPUs
   * @throws {XenError} If Xen refuses: EBUSY if another process listens
   */
  constructor(
    host: XenHost,
    loop: EventLoop,
    domain: GatedDomain,
    written: (write: StoppedWrite) => void,
  ) {
    if (domain.maxVcpus > MAX_VCPUS) {
      throw new RangeError(
        `${domain.maxVcpus} virtual CPUs: a write trap serves ${MAX_VCPUS}`,
      );
    }
    this.#host = host;
    this.#domain = domain;
    this.#written = written;
    this.#ring = new MonitorRing(
      host,
      loop,
      domain.id,
      (event) => this.#answer(event),
    );
  }

  /**
   * Keeps the guest from writing to pages.
   *
   * @param frames Guest frames of ordinary memory
   * @throws {XenError} If Xen refuses one, with those before it trapped: EINVAL
   *   on processors of AMD
   */
  close(frames: readonly bigint[]): void {
    for (const frame of frames) this.#frames.add(frame);
    this.#host.control.setAccess(this.#domain.id, frames, "r-x");
  }

  #answer(event: VmEvent): VmAnswer {
    const isOurs = event.kind === "memory" && event.writes &&
      this.#frames.has(event.frame);
    if (!isOurs) return "go on";
    const { vcpu, ip, frame, offset } = event;
    this.#written({ vcpu, ip, frame, offset });
    return "discard";
  }

  /** Lets the guest write to all pages again, and go on if it waits. */
  [Symbol.dispose](): void {
    const frames = [...this.#frames];
    const { id } = this.#domain;
    unlessGone(() => this.#host.control.setAccess(id, frames, "rwx"));
    this.#ring[Symbol.dispose]();
    releaseWaiting(this.#host, this.#domain);
  }
}

/**
 * Undoes the write trap of a process that has died: every page of it is
 * writable again, and who waits for an answer goes on.
 *
 * @param frames Guest frames that it closed
 * @throws {XenError} If Xen refuses
 */
export function endWriteTrap(
  host: XenHost,
  domain: GatedDomain,
  frames: readonly bigint[],
): void {
  const { control } = host;
  unlessGone(() => control.setAccess(domain.id, frames, "rwx"));
  unlessGone(() => control.disableMonitor(domain.id));
  releaseWaiting(host, domain);
}

/**
 * Xen keeps a virtual CPU waiting beyond the end of its ring, and takes its
 * answer from the next one.
 */
function releaseWaiting(host: XenHost, { id, maxVcpus }: GatedDomain): void {
  const noLoop = { add: () => {}, remove: () => {} };
  unlessGone(() => {
    using ring = new MonitorRing(host, noLoop, id, () => "go on");
    for (let vcpu = 0; vcpu < maxVcpus; vcpu++) ring.release(vcpu);
  });
}
