import type { XenHost } from "./host.ts";
import type { EventListener, MonitorEvents } from "./monitor_events.ts";
import type { RegisterListener } from "./protection.ts";
import type { VmAnswer, VmEvent } from "./vm_event.ts";

/** Model-specific registers that say where system calls enter (Intel SDM vol. 4) */
const MSRS = {
  0x176: "sysenterIp",
  0xc000_0082: "lstar",
  0xc000_0083: "cstar",
} as const;

function isWatched(msr: number): msr is keyof typeof MSRS {
  return msr in MSRS;
}

/**
 * Asks before a PVH or HVM guest changes a register that its protection hangs
 * on; what is denied does not happen, and the guest runs on as if it had. A
 * virtual CPU waits for the answer. Processors of Intel and AMD.
 */
export class RegisterWatch implements EventListener {
  #listener: RegisterListener;

  /**
   * @throws {XenError} If Xen refuses: what it tells until `events` end may
   *   happen
   */
  constructor(
    { control }: XenHost,
    domain: number,
    events: MonitorEvents,
    listener: RegisterListener,
  ) {
    this.#listener = listener;
    // Without this an answer that denies is passed over
    control.controlRegisterValues(domain);
    const { cr0, cr4 } = listener.bits;
    control.tellControlRegister(domain, "cr0", cr0);
    control.tellControlRegister(domain, "cr4", cr4);
    for (const msr of Object.keys(MSRS)) control.tellMsr(domain, Number(msr));
    events.add(this);
  }

  answer(event: VmEvent): VmAnswer | undefined {
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
}
