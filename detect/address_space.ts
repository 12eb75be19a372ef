import type { Detector, Finding } from "./finding.ts";
import type { Guest } from "./guest.ts";
import { littleEndian } from "./little_endian.ts";
import { rules } from "./rules.ts";

/**
 * XK-005: a kernel that lives in one address space keeps its root page table
 * (CR3).
 */
export class AddressSpace implements Detector {
  readonly rule = rules.addressSpace;
  #guest: Guest;
  #root: bigint;

  /** The root page table in use now is trusted. */
  constructor(guest: Guest) {
    this.#guest = guest;
    this.#root = guest.cpus[0]!.root;
  }

  check(): Finding[] {
    return this.#guest.cpus.filter(({ root }) => root !== this.#root).map((
      { vcpu, root },
    ) => ({
      rule: this.rule,
      seen: "drift",
      what: "root page table",
      address: root << 12n,
      symbol: `CR3 of vCPU ${vcpu}`,
      summary: `root page table was replaced on vCPU ${vcpu}: frame 0x${
        this.#root.toString(16)
      } became 0x${root.toString(16)}`,
      expected: littleEndian(this.#root << 12n),
      found: littleEndian(root << 12n),
      key: `${this.rule.id} ${vcpu} ${root.toString(16)}`,
    }));
  }
}
