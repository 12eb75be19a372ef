import { type Domain, findDomain } from "../xen/domains.ts";
import { type Device, listDevices } from "../xen/devices.ts";
import { XenHost } from "../xen/host.ts";
import { findKernel } from "../xen/recorded_kernel.ts";
import { listVcpus, type Vcpu } from "../xen/vcpus.ts";
import type { Options } from "./options.ts";
import { Output } from "./output.ts";

const KIB_PER_PAGE = 4;

/** Prints memory, virtual CPUs and virtual devices of a guest. */
export async function info(options: Options, dom: string): Promise<number> {
  using host = new XenHost();
  const output = new Output(options.json);
  const domain = findDomain(host.control, host.store, dom);
  const vcpus = listVcpus(host.control, domain);
  const devices = listDevices(host.store, domain.id);
  const kernel = await findKernel(host.store, domain);
  output.write(
    options.json
      ? JSON.stringify({
        xen: host.control.xenVersion(),
        libxenctrl: host.control.library,
        kernel,
        domain,
        vcpus,
        devices,
      }, (_, value) => typeof value === "bigint" ? Number(value) : value)
      : describe(host.control.xenVersion(), domain, vcpus, devices, kernel),
  );
  return 0;
}

function seconds(ns: bigint): string {
  return `${(Number(ns) / 1e9).toFixed(3)} s`;
}

function describe(
  xen: string,
  domain: Domain,
  vcpus: readonly Vcpu[],
  devices: readonly Device[],
  kernel: string | undefined,
): string {
  const { pages, maxPages } = domain;
  return [
    `${domain.name} (domain ${domain.id}, ${domain.uuid})`,
    `  type    ${domain.type} guest on Xen ${xen}`,
    `  state   ${domain.state}, ran ${seconds(domain.cpuTime)}`,
    `  kernel  ${kernel ?? "not recorded"}`,
    `  memory  ${pages} pages (${pages * KIB_PER_PAGE} KiB) of at most ` +
    `${maxPages}`,
    ...vcpus.map(({ vcpu, state, cpu, cpuTime }) =>
      `  vcpu    ${vcpu}: ${state} on CPU ${cpu}, ran ${seconds(cpuTime)}`
    ),
    ...devices.map(({ kind, id, state, backend }) =>
      `  device  ${kind} ${id}: ${state}, backend in domain ${backend}`
    ),
  ].join("\n");
}
