import type { CpuState } from "../guestos/cpu_state.ts";
import type { Profile } from "../guestos/profile.ts";
import type { Guest } from "./guest.ts";

/**
 * How long a virtual CPU may take to come up, ms: Linux gives it 10 s
 * (`do_boot_cpu` in arch/x86/kernel/smpboot.c) and some more for what follows
 */
const COMING_UP_LIMIT = 30_000;

/**
 * The virtual CPUs whose registers are judged: all but those that the kernel
 * brings up, whose registers are those of the boot. As the kernel's word for it
 * can be forged, it counts for a while only.
 */
export class SettledCpus {
  #guest: Pick<Guest, "cpus">;
  #isOnline: Profile["isOnline"];
  #limit: number;
  /** By virtual CPU, since when it is not online, ms */
  #since = new Map<number, number>();
  #waiting = false;

  /**
   * @param isOnline What the kernel says; without it all are judged
   * @param limit How long the kernel is believed, ms
   */
  constructor(
    guest: Pick<Guest, "cpus">,
    isOnline: Profile["isOnline"],
    limit = COMING_UP_LIMIT,
  ) {
    this.#guest = guest;
    this.#isOnline = isOnline;
    this.#limit = limit;
  }

  /**
   * Those that are judged now.
   *
   * @throws {UnreadableMemoryError} If the kernel's memory cannot be read
   */
  get cpus(): readonly CpuState[] {
    const { cpus } = this.#guest;
    const now = performance.now();
    const before = this.#since;
    this.#since = new Map(
      cpus.filter(({ vcpu }) => this.#isOnline?.(vcpu) === false)
        .map(({ vcpu }) => [vcpu, before.get(vcpu) ?? now]),
    );
    const judged = cpus.filter(({ vcpu }) => {
      const since = this.#since.get(vcpu);
      return since === undefined || now - since >= this.#limit;
    });
    this.#waiting = judged.length < cpus.length;
    return judged;
  }

  /** Whether one was not judged when they were last asked for. */
  get waiting(): boolean {
    return this.#waiting;
  }
}
