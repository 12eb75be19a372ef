import { XenError } from "./errors.ts";
import { EventRate } from "./event_rate.ts";
import { GoneOn } from "./gone_on.ts";
import type { XenHost } from "./host.ts";
import { decodeHvmCpu } from "./hvm_cpu.ts";
import {
  endTableEvents,
  type EventListener,
  type MonitorEvents,
} from "./monitor_events.ts";
import type { RegisterListener } from "./protection.ts";
import type { ReadThrough } from "./read_instruction.ts";
import { readTableLoad } from "./read_table_load.ts";
import { readWaitingCpu } from "./read_waiting_cpu.ts";
import type { VmAnswer, VmEvent } from "./vm_event.ts";

/** Model-specific registers that say where system calls enter (Intel SDM vol. 4) */
const MSRS = {
  0x176: "sysenterIp",
  0xc000_0082: "lstar",
  0xc000_0083: "cstar",
} as const;

/**
 * Accesses to descriptor table registers that load no table, or one that cannot
 * be told, and within how many seconds. A processor that comes up makes less than
 * 10. A process can make as many as it likes, and its virtual CPU, with all that
 * runs there, waits each time: on a slow host that leaves time for few.
 */
const MAX_ACCESSES = 50;
const ACCESSES_SPAN = 10;

function isWatched(msr: number): msr is keyof typeof MSRS {
  return msr in MSRS;
}

/** An event of a descriptor table register. */
type TableEvent = VmEvent & { readonly kind: "descriptor table" };

/**
 * Asks before a PVH or HVM guest changes a register that its protection hangs
 * on; what is denied does not happen, and the guest runs on as if it had. A
 * virtual CPU waits for the answer. Processors of Intel and AMD.
 *
 * Xen has no answer that denies the load of a descriptor table. But an answer
 * can set the instruction pointer: the instruction is passed over.
 */
export class RegisterWatch implements EventListener {
  #host: XenHost;
  #domain: number;
  #listener: RegisterListener;
  #read: ReadThrough;
  #goneOn: GoneOn;
  #accesses = new EventRate(MAX_ACCESSES, ACCESSES_SPAN);
  #tellsTables = true;

  /**
   * @param read Copies memory of the guest
   * @throws {XenError} If Xen refuses: what it tells until `events` end may
   *   happen
   */
  constructor(
    host: XenHost,
    domain: number,
    events: MonitorEvents,
    listener: RegisterListener,
    read: ReadThrough,
  ) {
    this.#host = host;
    this.#domain = domain;
    this.#listener = listener;
    this.#read = read;
    const { control } = host;
    this.#goneOn = new GoneOn(control, domain);
    // Without this an answer that denies is passed over
    control.controlRegisterValues(domain);
    const { cr0, cr4 } = listener.bits;
    control.tellControlRegister(domain, "cr0", cr0);
    control.tellControlRegister(domain, "cr4", cr4);
    for (const msr of Object.keys(MSRS)) control.tellMsr(domain, Number(msr));
    this.#tellTables();
    events.add(this);
  }

  /** Processors of Intel had no such events at first. */
  #tellTables(): void {
    try {
      this.#host.control.tellDescriptorTables(this.#domain, true);
    } catch (error) {
      const cannot = error instanceof XenError && error.code === "EOPNOTSUPP";
      if (!cannot) throw error;
      this.#listener.weakened(
        "registers",
        "the processor does not tell of them",
      );
    }
  }

  answer(event: VmEvent): VmAnswer | undefined {
    if (event.kind === "descriptor table") return this.#answerAccess(event);
    const register = event.kind === "control register"
      ? event.register
      : event.kind === "msr" && isWatched(event.msr)
      ? MSRS[event.msr]
      : undefined;
    if (register === undefined || !("before" in event)) return undefined;
    const { vcpu, ip, value, before } = event;
    const may = this.#listener.mayChange({ vcpu, ip, register, value, before });
    return may ? "go on" : "deny";
  }

  /**
   * The instruction itself says what it is: Xen's word comes from what the
   * processor says of it, which is wrong in Bochs.
   */
  #answerAccess(
    { vcpu, ip, register: accessed, writes }: TableEvent,
  ): VmAnswer {
    const view = readWaitingCpu(this.#host.control, this.#domain, vcpu);
    if (view === undefined) return "emulate";
    const load = readTableLoad(view, this.#read);
    const listener = this.#listener;
    if (load === undefined) {
      const loads = writes && (accessed === "idt" || accessed === "gdt");
      if (loads) this.#goneOn.then(vcpu, ip, () => listener.loadedUnread());
      this.#countAccess();
      return "emulate";
    }
    const { register, value, next } = load;
    const passOver = { goOnAt: next };
    const { [register]: before } = decodeHvmCpu(vcpu, view);
    const same = value.base === before?.base && value.limit === before.limit;
    // Emulated, it could be another one by then
    if (same) return passOver;
    const asked = { vcpu, ip, register, value };
    if (listener.mayLoad(asked)) return "emulate";
    this.#goneOn.then(vcpu, ip, () => listener.denied(asked));
    return passOver;
  }

  #countAccess(): void {
    if (this.#accesses.next() || !this.#tellsTables) return;
    this.#tellsTables = false;
    endTableEvents(this.#host, this.#domain);
    this.#listener.weakened(
      "registers",
      `the guest used such registers more than ${MAX_ACCESSES} times within ` +
        `${ACCESSES_SPAN} s`,
    );
  }

  ending(): void {
    endTableEvents(this.#host, this.#domain);
  }

  ended(): void {
    this.#goneOn.finish();
  }
}
