import type { XenControl } from "./control.ts";
import { XenError } from "./errors.ts";
import { hvmCpu } from "./layouts.ts";

/** How long a virtual CPU may take to go on, ms */
const LIMIT = 50;
/** From one look at it to the next, ms */
const INTERVAL = 1;
/** What is kept of one virtual CPU until it has gone on */
const MAX_KEPT = 64;

/** What is to be done when a virtual CPU has gone on. */
interface Waiting {
  /** Guest virtual address of the instruction that it was last answered at */
  ip: bigint;
  readonly then: (() => void)[];
  readonly end: number;
  timer: ReturnType<typeof setTimeout>;
}

/**
 * Waits until virtual CPUs that got an answer have gone on. Xen keeps the
 * answer until then, and forgets it when events end before that.
 */
export class GoneOn {
  #control: Pick<XenControl, "hvmCpu">;
  #domain: number;
  /** By virtual CPU */
  #waiting = new Map<number, Waiting>();

  constructor(control: Pick<XenControl, "hvmCpu">, domain: number) {
    this.#control = control;
    this.#domain = domain;
  }

  /**
   * Has something done when a virtual CPU has gone on, and has not come to the
   * next event; or at the end of its time.
   *
   * @param ip Guest virtual address of the instruction that it is answered at
   */
  then(vcpu: number, ip: bigint, then: () => void): void {
    const waiting = this.#waiting.get(vcpu);
    if (waiting === undefined) {
      const timer = this.#later(vcpu);
      const end = performance.now() + LIMIT;
      this.#waiting.set(vcpu, { ip, then: [then], end, timer });
      return;
    }
    waiting.ip = ip;
    if (waiting.then.length < MAX_KEPT) waiting.then.push(then);
  }

  #later(vcpu: number): ReturnType<typeof setTimeout> {
    return setTimeout(() => this.#look(vcpu), INTERVAL);
  }

  #look(vcpu: number): void {
    const waiting = this.#waiting.get(vcpu)!;
    const waits = performance.now() < waiting.end &&
      this.#isAt(vcpu, waiting.ip);
    if (waits) waiting.timer = this.#later(vcpu);
    else this.#finish(vcpu, waiting);
  }

  #isAt(vcpu: number, ip: bigint): boolean {
    try {
      const view = this.#control.hvmCpu(this.#domain, vcpu);
      return view.getBigUint64(hvmCpu.rip, true) === ip;
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      // It is gone
      return false;
    }
  }

  #finish(vcpu: number, { then, timer }: Waiting): void {
    clearTimeout(timer);
    this.#waiting.delete(vcpu);
    for (const act of then) act();
  }

  /** Does all that waits. */
  finish(): void {
    for (const [vcpu, waiting] of [...this.#waiting]) {
      this.#finish(vcpu, waiting);
    }
  }
}
