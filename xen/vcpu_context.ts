import { trapInfo, vcpuContext } from "./layouts.ts";

/** One entry of a PV guest's trap table. */
export interface TrapHandler {
  readonly vector: number;
  /** Guest virtual address of the handler */
  readonly address: bigint;
  readonly cs: number;
  readonly flags: number;
}

/** What a PV guest told Xen of one virtual CPU. */
export interface CpuState {
  readonly vcpu: number;
  /** Frame of the kernel's root page table */
  readonly root: bigint;
  readonly ip: bigint;
  /** Handlers that are set, by vector */
  readonly traps: readonly TrapHandler[];
  /** Entry points of event, failsafe and system call, as addresses */
  readonly callbacks: {
    readonly event: bigint;
    readonly failsafe: bigint;
    readonly syscall: bigint;
  };
}

/**
 * Reads a raw `vcpu_guest_context_t` of x86-64 (public/arch-x86/xen.h).
 *
 * @param view 5168 bytes
 * @param traps The handlers, where they are known to be the same as before
 * @throws {RangeError} If there are fewer bytes
 */
export function decodeVcpuContext(
  vcpu: number,
  view: DataView,
  traps: readonly TrapHandler[] = decodeTraps(view),
): CpuState {
  return {
    vcpu,
    root: view.getBigUint64(vcpuContext.ctrlreg + 3 * 8, true) >> 12n,
    ip: view.getBigUint64(vcpuContext.rip, true),
    traps,
    callbacks: {
      event: view.getBigUint64(vcpuContext.event_callback_eip, true),
      failsafe: view.getBigUint64(vcpuContext.failsafe_callback_eip, true),
      syscall: view.getBigUint64(vcpuContext.syscall_callback_eip, true),
    },
  };
}

function decodeTraps(view: DataView): TrapHandler[] {
  const traps: TrapHandler[] = [];
  for (let index = 0; index < trapInfo.count; index++) {
    const at = vcpuContext.trap_ctxt + index * trapInfo.size;
    const from = at + trapInfo.address;
    // Most are empty: two words are much cheaper to look at than a BigInt
    if (view.getUint32(from) === 0 && view.getUint32(from + 4) === 0) continue;
    const address = view.getBigUint64(from, true);
    traps.push({
      vector: index,
      address,
      cs: view.getUint16(at + trapInfo.cs, true),
      flags: view.getUint8(at + trapInfo.flags),
    });
  }
  return traps;
}
