import type { XenControl } from "../control.ts";
import { domainInfo, vcpuInfo } from "../layouts.ts";

/** A domain that a fake control interface knows. */
export interface FakeDomain {
  readonly id: number;
  /** `XEN_DOMINF_*` */
  readonly flags?: number;
  /** Sixteen bytes; zero where left out */
  readonly uuid?: Uint8Array;
  readonly pages?: bigint;
  readonly maxPages?: bigint;
  readonly cpuTime?: bigint;
  readonly onlineVcpus?: number;
  readonly maxVcpuId?: number;
}

/** Size of `xc_domaininfo_t` in the fakes */
const SIZE = domainInfo.sizes[1];

function encode(domain: FakeDomain): DataView {
  const view = new DataView(new ArrayBuffer(SIZE));
  view.setUint16(domainInfo.domain, domain.id, true);
  view.setUint32(domainInfo.flags, domain.flags ?? 0, true);
  view.setBigUint64(domainInfo.tot_pages, domain.pages ?? 0n, true);
  view.setBigUint64(domainInfo.max_pages, domain.maxPages ?? 0n, true);
  view.setBigUint64(domainInfo.cpu_time, domain.cpuTime ?? 0n, true);
  view.setUint32(domainInfo.nr_online_vcpus, domain.onlineVcpus ?? 1, true);
  view.setUint32(domainInfo.max_vcpu_id, domain.maxVcpuId ?? 0, true);
  new Uint8Array(view.buffer).set(
    domain.uuid ?? new Uint8Array(16),
    domainInfo.handle,
  );
  return view;
}

/**
 * A control interface that knows some domains and answers as Xen does: with
 * the domains from an id on, by id.
 *
 * @param domains In any order
 * @param vcpus Raw `xc_vcpuinfo_t`, by virtual CPU
 */
export function fakeControl(
  domains: readonly FakeDomain[],
  vcpus: readonly DataView<ArrayBuffer>[] = [],
): XenControl {
  const known = domains.toSorted((a, b) => a.id - b.id);
  const control: Pick<XenControl, "domainInfoList" | "vcpuInfo"> = {
    domainInfoList: (first, max) =>
      known.filter(({ id }) => id >= first).slice(0, max).map(encode),
    vcpuInfo: (_domain, vcpu) =>
      vcpus[vcpu] ?? new DataView(new ArrayBuffer(vcpuInfo.size)),
  };
  return control as XenControl;
}
