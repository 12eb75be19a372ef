import type { XenControl } from "./control.ts";
import { saysGone } from "./says_gone.ts";

/**
 * Reads the state of a virtual CPU that waits for the answer to an event.
 *
 * @returns Raw `struct hvm_hw_cpu`; nothing of a guest that is gone, whose last
 *   events may come late
 * @throws {XenError} If Xen refuses
 */
export function readWaitingCpu(
  control: Pick<XenControl, "hvmCpu">,
  domain: number,
  vcpu: number,
): DataView | undefined {
  try {
    return control.hvmCpu(domain, vcpu);
  } catch (error) {
    if (!saysGone(error)) throw error;
    return undefined;
  }
}
