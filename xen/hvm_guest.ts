import type { HvmCpuState } from "../guestos/cpu_state.ts";
import { DomainGuest } from "./domain_guest.ts";
import type { Domain } from "./domains.ts";
import type { XenHost } from "./host.ts";
import type { Journal } from "./journal.ts";
import { decodeHvmCpu } from "./hvm_cpu.ts";

const CR4_LA57 = 1n << 12n;

/** A guest with hardware virtualization, PVH or HVM, with a 64-bit kernel. */
export class HvmGuest extends DomainGuest<HvmCpuState> {
  /**
   * @param journal Where changes to the guest are noted before they are made;
   *   without one the guest can only be looked at
   * @throws {RangeError} If the guest is a PV guest
   */
  constructor(host: XenHost, domain: Domain, journal?: Journal) {
    if (domain.type === "PV") {
      throw new RangeError(`${domain.name} is a PV guest`);
    }
    const { cr4 } = decodeHvmCpu(0, host.control.hvmCpu(domain.id, 0));
    super(host, domain, (cr4 & CR4_LA57) === 0n ? 4 : 5, journal);
    this.refresh();
    this.assertAlive();
  }

  protected override readCpu(vcpu: number): HvmCpuState {
    return decodeHvmCpu(vcpu, this.host.control.hvmCpu(this.domain.id, vcpu));
  }
}
