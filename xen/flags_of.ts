import type { XenControl } from "./control.ts";
import { domainFlags, domainInfo } from "./layouts.ts";

/**
 * What Xen says of a domain now.
 *
 * @param id Domain id
 * @returns `XEN_DOMINF_*`; those of a dying domain once it does not exist
 * @throws {XenError} If Xen refuses
 */
export function flagsOf(
  control: Pick<XenControl, "domainInfoList">,
  id: number,
): number {
  const [view] = control.domainInfoList(id, 1);
  // Xen tells of the next one that there is
  return view?.getUint16(domainInfo.domain, true) === id
    ? view.getUint32(domainInfo.flags, true)
    : domainFlags.dying;
}
