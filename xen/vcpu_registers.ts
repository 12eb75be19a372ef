import type { CpuRegisters } from "../guestos/cpu_state.ts";
import { vcpuRegisters, vcpuSelectors } from "./layouts.ts";

type Values = CpuRegisters["values"];

/**
 * Reads the registers of a raw `vcpu_guest_context_t` of x86-64, which Xen
 * fills for guests of every type.
 *
 * @param view 5168 bytes
 * @throws {RangeError} If there are fewer bytes
 */
export function decodeVcpuRegisters(
  vcpu: number,
  view: DataView,
): CpuRegisters {
  const values = Object.fromEntries([
    ...Object.entries(vcpuRegisters).map(([name, at]) => [
      name,
      view.getBigUint64(at, true),
    ]),
    ...Object.entries(vcpuSelectors).map(([name, at]) => [
      name,
      BigInt(view.getUint16(at, true)),
    ]),
  ]);
  return { vcpu, values: values as Values };
}
