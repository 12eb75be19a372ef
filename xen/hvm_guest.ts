import type { HvmCpuState } from "../guestos/cpu_state.ts";
import { DomainGuest } from "./domain_guest.ts";
import type { Domain } from "./domains.ts";
import { NoSuchDomainError, XenError } from "./errors.ts";
import type { XenHost } from "./host.ts";
import { decodeHvmCpu } from "./hvm_cpu.ts";
import type { Journal } from "./journal.ts";
import type { Levels } from "./page_walk.ts";

const CR4_LA57 = 1n << 12n;

/** Paging levels of a kernel, as its first virtual CPU has them. */
function levelsOf(host: XenHost, { id, name }: Domain): Levels {
  try {
    const { cr4 } = decodeHvmCpu(0, host.control.hvmCpu(id, 0));
    return (cr4 & CR4_LA57) === 0n ? 4 : 5;
  } catch (error) {
    const isGone = error instanceof XenError && error.code === "ESRCH";
    if (!isGone) throw error;
    throw new NoSuchDomainError(`${name} is gone`, { cause: error });
  }
}

/** A guest with hardware virtualization, PVH or HVM, with a 64-bit kernel. */
export class HvmGuest extends DomainGuest<HvmCpuState> {
  /**
   * @param journal Where changes to the guest are noted before they are made;
   *   without one the guest can only be looked at
   * @throws {RangeError} If the guest is a PV guest
   * @throws {NoSuchDomainError} If the guest is gone
   */
  constructor(host: XenHost, domain: Domain, journal?: Journal) {
    if (domain.type === "PV") {
      throw new RangeError(`${domain.name} is a PV guest`);
    }
    super(host, domain, levelsOf(host, domain), journal);
    this.refresh();
    this.assertAlive();
  }

  protected override readCpu(vcpu: number): HvmCpuState {
    return decodeHvmCpu(vcpu, this.host.control.hvmCpu(this.domain.id, vcpu));
  }
}
