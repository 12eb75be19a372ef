import type { XenControl } from "./control.ts";
import type { GatedWrite } from "./gate_requests.ts";
import { hvmCpu } from "./layouts.ts";
import { readWaitingCpu } from "./read_waiting_cpu.ts";
import type { StoppedWrite } from "./protection.ts";

/**
 * A write that the gate dropped, with the instruction that made it.
 *
 * @returns Nothing of a guest that is gone: then Xen does not say what its
 *   virtual CPU stood at, and nothing came of the write
 * @throws {XenError} If Xen refuses
 */
export function describeGatedWrite(
  control: Pick<XenControl, "hvmCpu">,
  domain: number,
  { vcpu, address, size, count, data }: GatedWrite,
): StoppedWrite | undefined {
  const view = readWaitingCpu(control, domain, vcpu);
  if (view === undefined) return undefined;
  const whole = count === 1 && data !== undefined && size <= 8;
  const bytes = new Uint8Array(8);
  if (whole) new DataView(bytes.buffer).setBigUint64(0, data, true);
  return {
    vcpu,
    ip: view.getBigUint64(hvmCpu.rip, true),
    frame: address >> 12n,
    offset: Number(address & 0xfffn),
    size: size * count,
    ...(whole ? { data: bytes.subarray(0, size) } : {}),
  };
}
