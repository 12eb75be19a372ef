import type { XenControl } from "./control.ts";
import type { Domain } from "./domains.ts";
import { vcpuInfo } from "./layouts.ts";

/** A virtual CPU as Xen's scheduler sees it. */
export interface Vcpu {
  readonly vcpu: number;
  readonly state: "offline" | "running" | "blocked" | "runnable";
  /** Physical CPU that it is on */
  readonly cpu: number;
  /** Time that it ran, ns */
  readonly cpuTime: bigint;
}

/** All virtual CPUs of a domain. */
export function listVcpus(control: XenControl, domain: Domain): Vcpu[] {
  return Array.from({ length: domain.maxVcpus }, (_, vcpu) => {
    const view = control.vcpuInfo(domain.id, vcpu);
    const is = (offset: number) => view.getUint8(offset) !== 0;
    return {
      vcpu,
      state: !is(vcpuInfo.online)
        ? "offline"
        : is(vcpuInfo.running)
        ? "running"
        : is(vcpuInfo.blocked)
        ? "blocked"
        : "runnable",
      cpu: view.getUint32(vcpuInfo.cpu, true),
      cpuTime: view.getBigUint64(vcpuInfo.cpu_time, true),
    };
  });
}
