import type { PvCpuState, TrapHandler } from "../guestos/cpu_state.ts";
import { trapInfo, vcpuContext } from "./layouts.ts";

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
): PvCpuState {
  return {
    kind: "pv",
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
