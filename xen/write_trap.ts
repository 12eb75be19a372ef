import type { XenHost } from "./host.ts";
import type { EventListener, MonitorEvents } from "./monitor_events.ts";
import type { GuestListener, StoppedWrite } from "./protection.ts";
import { unlessGone } from "./unless_gone.ts";
import type { VmAnswer, VmEvent } from "./vm_event.ts";

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
 * to be emulated with nothing written. Writes that Xen makes for the guest are
 * not stopped. `openTrap` undoes it.
 *
 * Xen emulates when the virtual CPU runs again. One that is paused before would
 * write after all if it is let run when nothing is trapped any more. So where
 * the listener pauses, it is told one instruction later (monitor trap flag).
 */
export class WriteTrap implements EventListener {
  #host: XenHost;
  #domain: number;
  #listener: GuestListener;
  #frames = new Set<bigint>();
  /** By virtual CPU, from its write until it has finished */
  #steps = new Map<number, Step>();

  /**
   * @param domain Domain id
   * @param listener Is told of each write
   * @throws {XenError} If Xen refuses: EOPNOTSUPP on processors of AMD
   */
  constructor(
    host: XenHost,
    domain: number,
    events: MonitorEvents,
    listener: GuestListener,
  ) {
    this.#host = host;
    this.#domain = domain;
    this.#listener = listener;
    if (listener.pauses) host.control.tellSteps(domain);
    events.add(this);
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
    this.#host.control.setAccess(this.#domain, frames, "r-x");
  }

  answer(event: VmEvent): VmAnswer | undefined {
    if (event.kind === "step") {
      this.#finish(event.vcpu);
      return "end steps";
    }
    const isOurs = event.kind === "memory" && event.writes &&
      this.#frames.has(event.frame);
    if (!isOurs) return undefined;
    const { vcpu, ip, frame, offset } = event;
    const write = { vcpu, ip, frame, offset };
    const step = this.#steps.get(vcpu);
    if (step !== undefined) {
      // The next instruction writes as well, or this one goes on
      if (step.writes.length < MAX_KEPT) step.writes.push(write);
      return "discard";
    }
    if (!this.#listener.pauses) {
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

  /** Lets virtual CPUs run freely that were to finish first. */
  ended(): void {
    for (const vcpu of [...this.#steps.keys()]) {
      unlessGone(() => this.#host.control.endSteps(this.#domain, vcpu));
      this.#finish(vcpu);
    }
  }
}

/**
 * Lets a guest write to pages again that a trap has closed.
 *
 * @param domain Domain id
 * @param frames Guest frames
 * @throws {XenError} If Xen refuses
 */
export function openTrap(
  { control }: XenHost,
  domain: number,
  frames: readonly bigint[],
): void {
  if (frames.length === 0) return;
  unlessGone(() => control.setAccess(domain, frames, "rwx"));
}
