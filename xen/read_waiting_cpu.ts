import type { XenControl } from "./control.ts";
import { XenError } from "./errors.ts";

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
    const isGone = error instanceof XenError && error.code === "ESRCH";
    if (!isGone) throw error;
    return undefined;
  }
}
