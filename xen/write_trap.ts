import type { EventLoop } from "./event_loop.ts";
import type { GatedDomain } from "./write_gate.ts";
import type { XenHost } from "./host.ts";
import { MonitorRing } from "./monitor_ring.ts";
import type { StoppedWrite, WriteListener } from "./protection.ts";
import { unlessGone } from "./unless_gone.ts";
import type { VmAnswer, VmEvent } from "./vm_event.ts";

/**
 * Virtual CPUs of a guest at most. Where more of them have written than the
 * ring has room for, Xen gives none of them back while it is full.
 */
const MAX_VCPUS = 7;

/** How long an instruction may take until its write is told all the same, ms */
const STEP_LIMIT = 50;
/** Writes of one virtual CPU that are kept until it has finished with them */
const MAX_KEPT = 64;

/** What a virtual CPU wrote that finishes with it before it is told. */
interface Step {
  readonly writes: StoppedWrite[];
  readonly timer: ReturnType<typeof setTimeout>;
}

/**
 * Keeps a PVH or HVM guest from writing to pages of its own, and tells what it
 * tried. It can read and execute them. Processors of Intel only.
 *
 * The pages' entries in the tables that map guest frames (EPT) are read-only;
 * Xen sends an event for each write (`mem_access`), and this answers that it is
 * to be emulated with nothing written. A guest that writes waits for the answer:
 * if this process dies, until `endWriteTrap` is called. Writes that Xen makes
 * for the guest are not stopped.
 *
 * Xen emulates when the virtual CPU runs again. One that is paused before would
 * write after all if it is let run when nothing is trapped any more. So where
 * the listener pauses, it is told one instruction later (monitor trap flag).
 */
export class WriteTrap implements Disposable {
  #host: XenHost;
  #domain: GatedDomain;
  #listener: WriteListener;
  #frames = new Set<bigint>();
  /** By virtual CPU, from its write until it has finished */
  #steps = new Map<number, Step>();
  #ended = false;
  #ring: MonitorRing;

  /**
   * @param listener Is told of each write
   * @throws {RangeError} If the guest has more than 7 virtual CPUs
   * @throws {XenError} If Xen refuses: EBUSY if another process listens,
   *   EOPNOTSUPP on processors of AMD
   */
  constructor(
    host: XenHost,
    loop: EventLoop,
    domain: GatedDomain,
    listener: WriteListener,
  ) {
    if (domain.maxVcpus > MAX_VCPUS) {
      throw new RangeError(
        `${domain.maxVcpus} virtual CPUs: a write trap serves ${MAX_VCPUS}`,
      );
    }
    this.#host = host;
    this.#domain = domain;
    this.#listener = listener;
    using stack = new DisposableStack();
    this.#ring = stack.use(
      new MonitorRing(host, loop, domain.id, (event) => this.#answer(event)),
    );
    if (listener.pauses) host.control.tellSteps(domain.id);
    stack.move();
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
    if (event.kind === "step") {
      this.#finish(event.vcpu);
      return "end steps";
    }
    const isOurs = event.kind === "memory" && event.writes &&
      this.#frames.has(event.frame);
    if (!isOurs) return "go on";
    const { vcpu, ip, frame, offset } = event;
    const write = { vcpu, ip, frame, offset };
    const step = this.#steps.get(vcpu);
    if (step !== undefined) {
      // The next instruction writes as well, or this one goes on
      if (step.writes.length < MAX_KEPT) step.writes.push(write);
      return "discard";
    }
    if (!this.#listener.pauses || this.#ended) {
      this.#listener.stopped(write);
      return "discard";
    }
    const writes = [write];
    const timer = setTimeout(() => this.#tell(writes), STEP_LIMIT);
    this.#steps.set(vcpu, { writes, timer });
    return "discard and step";
  }

  #tell(writes: StoppedWrite[]): void {
    for (const write of writes.splice(0)) this.#listener.stopped(write);
  }

  #finish(vcpu: number): void {
    const step = this.#steps.get(vcpu);
    if (step === undefined) return;
    clearTimeout(step.timer);
    this.#steps.delete(vcpu);
    this.#tell(step.writes);
  }

  /** Lets the guest write to all pages again, and go on if it waits. */
  [Symbol.dispose](): void {
    const frames = [...this.#frames];
    const { id } = this.#domain;
    this.#ended = true;
    unlessGone(() => this.#host.control.setAccess(id, frames, "rwx"));
    this.#ring[Symbol.dispose]();
    for (const vcpu of [...this.#steps.keys()]) {
      unlessGone(() => this.#host.control.endSteps(id, vcpu));
      this.#finish(vcpu);
    }
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
  for (let vcpu = 0; vcpu < domain.maxVcpus; vcpu++) {
    unlessGone(() => control.endSteps(domain.id, vcpu));
  }
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
