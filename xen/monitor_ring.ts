import { constants } from "./constants.ts";
import { errno } from "./control.ts";
import { XenError } from "./errors.ts";
import type { EventLoop } from "./event_loop.ts";
import { BACK_OFF_MS, EventRate } from "./event_rate.ts";
import type { XenHost } from "./host.ts";
import { PAGE_SIZE, vmEvent, vmEventRing } from "./layouts.ts";
import { unlessGone } from "./unless_gone.ts";
import {
  decodeVmEvent,
  encodeVmAnswer,
  type VmAnswer,
  type VmEvent,
} from "./vm_event.ts";

/** How often, and as what an attacker's write comes */
const REHEARSALS = 3;
const REHEARSED = [
  constants.VM_EVENT_REASON_MEM_ACCESS,
  constants.VM_EVENT_REASON_SINGLESTEP,
];
/** No virtual CPU, and no frame of any guest */
const NOBODY = 0xffff_ffff;
const NOWHERE = 0xffff_ffff_ffff_ffffn;

/** What `vm_event_t` is in a release of Xen. */
function eventFormat(xenVersion: string): { version: number; size: number } {
  const [old, current] = vmEvent.sizes;
  return xenVersion.startsWith("4.14")
    ? { version: 6, size: old }
    : { version: 7, size: current };
}

/** Entries on the page: a power of two, as many as fit (public/io/ring.h) */
function slotCount(size: number): number {
  return 2 ** Math.floor(Math.log2((PAGE_SIZE - vmEventRing.ring) / size));
}

/**
 * The events of one PVH or HVM guest, on the ring that Xen and this process
 * share.
 *
 * Each event is copied before it is read. A virtual CPU of the guest waits for
 * its answer.
 */
export class MonitorRing implements Disposable {
  #host: XenHost;
  #domain: number;
  #answer: (event: VmEvent) => VmAnswer;
  #evtchn: Deno.PointerValue;
  #port: number;
  #ring: DataView;
  #version: number;
  #size: number;
  #slots: number;
  #taken = 0;
  #rate = new EventRate();
  /** What waits since the guest sends too much */
  #late = new Map<ReturnType<typeof setTimeout>, DataView>();
  #stack: DisposableStack;

  /**
   * @param domain Domain id
   * @param answer Gets each event; the guest waits for what it returns
   * @throws {XenError} If Xen refuses: EBUSY if another process listens
   */
  constructor(
    host: XenHost,
    loop: Pick<EventLoop, "add" | "remove">,
    domain: number,
    answer: (event: VmEvent) => VmAnswer,
  ) {
    this.#host = host;
    this.#domain = domain;
    this.#answer = answer;
    const { libraries, control } = host;
    const format = eventFormat(control.xenVersion());
    this.#version = format.version;
    this.#size = format.size;
    this.#slots = slotCount(format.size);
    const { symbols } = libraries.evtchn;
    using stack = new DisposableStack();
    this.#evtchn = symbols.xenevtchn_open(libraries.logger, 0);
    if (this.#evtchn === null) {
      throw new XenError("xenevtchn_open", errno(libraries));
    }
    stack.defer(() => symbols.xenevtchn_close(this.#evtchn));
    const page = stack.use(control.enableMonitor(domain));
    stack.defer(() => unlessGone(() => control.disableMonitor(domain)));
    this.#ring = new DataView(page.bytes);
    // As SHARED_RING_INIT does (public/io/ring.h): Xen leaves it to us
    new Uint8Array(page.bytes).fill(0);
    this.#set(vmEventRing.req_event, 1);
    this.#set(vmEventRing.rsp_event, 1);
    this.#port = symbols.xenevtchn_bind_interdomain(
      this.#evtchn,
      domain,
      page.port,
    );
    if (this.#port < 0) {
      throw new XenError("xenevtchn_bind_interdomain", errno(libraries));
    }
    const fd = symbols.xenevtchn_fd(this.#evtchn);
    loop.add(fd, () => this.#takeEvent());
    stack.defer(() => loop.remove(fd));
    this.#stack = stack.move();
  }

  /**
   * Asks for the answer to events that never were, a few times, and gives it to
   * nobody: code that runs for the first time is compiled then, and a guest
   * would have to wait for it.
   */
  rehearse(): void {
    const entry = new DataView(new ArrayBuffer(this.#size));
    entry.setUint32(vmEvent.vcpu_id, NOBODY, true);
    entry.setBigUint64(vmEvent.gfn, NOWHERE, true);
    entry.setUint32(vmEvent.access, constants.MEM_ACCESS_W, true);
    for (let time = 0; time < REHEARSALS; time++) {
      for (const reason of REHEARSED) {
        entry.setUint32(vmEvent.reason, reason, true);
        encodeVmAnswer(entry, this.#answer(decodeVmEvent(entry)));
        this.#notify();
      }
    }
  }

  #get(at: number): number {
    return this.#ring.getUint32(at, true);
  }

  #set(at: number, value: number): void {
    this.#ring.setUint32(at, value, true);
  }

  #entryAt(index: number): Uint8Array {
    const at = vmEventRing.ring + (index % this.#slots) * this.#size;
    return new Uint8Array(this.#ring.buffer, at, this.#size);
  }

  #takeEvent(): void {
    const { symbols } = this.#host.libraries.evtchn;
    const port = symbols.xenevtchn_pending(this.#evtchn);
    if (port < 0) return;
    symbols.xenevtchn_unmask(this.#evtchn, port);
    this.#takeAll();
  }

  #takeAll(): void {
    do {
      while (this.#get(vmEventRing.req_prod) !== this.#taken) {
        const entry = new DataView(this.#entryAt(this.#taken).slice().buffer);
        this.#taken = (this.#taken + 1) >>> 0;
        if (this.#rate.next()) this.#judge(entry);
        else this.#judgeLater(entry);
      }
      // Asks for a channel event at the next one, then looks once more: one
      // that came in between sends none
      this.#set(vmEventRing.req_event, (this.#taken + 1) >>> 0);
    } while (this.#get(vmEventRing.req_prod) !== this.#taken);
  }

  /** It is only its own time that a guest loses. */
  #judgeLater(entry: DataView): void {
    const timer = setTimeout(() => {
      this.#late.delete(timer);
      this.#judge(entry);
    }, BACK_OFF_MS);
    this.#late.set(timer, entry);
  }

  #judge(entry: DataView): void {
    let answer: VmAnswer = "go on";
    try {
      answer = this.#answer(decodeVmEvent(entry));
    } finally {
      encodeVmAnswer(entry, answer);
      this.#put(entry);
    }
  }

  #put(entry: DataView): void {
    const produced = this.#get(vmEventRing.rsp_prod);
    this.#entryAt(produced).set(new Uint8Array(entry.buffer));
    this.#set(vmEventRing.rsp_prod, (produced + 1) >>> 0);
    this.#notify();
  }

  #notify(): void {
    this.#host.libraries.evtchn.symbols.xenevtchn_notify(
      this.#evtchn,
      this.#port,
    );
  }

  /**
   * Lets a virtual CPU go on that waits for the answer to an event of an
   * earlier ring. Xen passes over it if it does not wait.
   */
  release(vcpu: number): void {
    const entry = new DataView(new ArrayBuffer(this.#size));
    entry.setUint32(vmEvent.version, this.#version, true);
    entry.setUint32(
      vmEvent.flags,
      constants.VM_EVENT_FLAG_VCPU_PAUSED,
      true,
    );
    entry.setUint32(vmEvent.vcpu_id, vcpu, true);
    this.#put(entry);
  }

  /** Answers what is there and ends, once: the page is gone then. */
  [Symbol.dispose](): void {
    if (this.#stack.disposed) return;
    using _stack = this.#stack;
    this.#takeAll();
    for (const [timer, entry] of this.#late) {
      clearTimeout(timer);
      this.#judge(entry);
    }
    this.#late.clear();
  }
}
