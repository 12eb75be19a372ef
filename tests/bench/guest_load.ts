import type { Guest, Lab, LinuxGuestConfig } from "../lab/mod.ts";

/** Limits, ms: others may use the machine. */
const BOOT_LIMIT = 300_000;
const ANSWER_LIMIT = 600_000;

/** The guest counts its lost time in hundredths of a second. */
const TICK = 1e7;

/** What the guest did in a window, and what that took; times in ns. */
export interface Work {
  readonly rounds: number;
  /** By the guest's clock */
  readonly time: number;
  /** For which the guest could have run and was not let, by Xen's count */
  readonly lost: number;
  /**
   * For which the host ran the emulator's thread of the guest's processor, if
   * the guest is bound to one
   */
  readonly processor: number;
}

/** A Linux guest whose only process is `guest_load.c`. */
export class GuestLoad {
  readonly guest: Guest;
  #lab: Lab;
  /** Directory in `/proc` of the thread, once the guest is bound to one */
  #thread: string | undefined;
  #orders = 0;

  private constructor(lab: Lab, guest: Guest) {
    this.#lab = lab;
    this.guest = guest;
  }

  /**
   * Starts the guest.
   *
   * @param lab one whose emulator names its threads.
   * @param config of a Linux guest, with what it boots.
   */
  static async start(
    lab: Lab,
    config: LinuxGuestConfig & { kernel: string; ramdisk: string },
  ): Promise<GuestLoad> {
    const guest = await lab.createGuest({
      ...config,
      name: `load-${config.type}`,
      vcpus: 1,
    });
    await guest.waitForConsole(/guest ready/, BOOT_LIMIT);
    return new GuestLoad(lab, guest);
  }

  /** Binds it to one of the lab's processors. */
  async bind(cpu: number): Promise<void> {
    this.#thread = await cpuThread(this.#lab.pid, cpu);
    await this.#lab.run(["xl", "vcpu-pin", this.guest.name, "0", `${cpu}`]);
  }

  async #processor(): Promise<number> {
    if (this.#thread === undefined) return NaN;
    // The first figure is the time on a processor of the host
    const text = await Deno.readTextFile(`${this.#thread}/schedstat`);
    return Number(text.split(" ")[0]);
  }

  /** Has it work, and waits until that is done. It is idle before and after. */
  async work(milliseconds: number): Promise<Work> {
    const processor = await this.#processor();
    await this.guest.type(`run ${milliseconds}`);
    // Nothing of ours runs meanwhile
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    const [, rounds, time, lost] = await this.guest.waitForConsole(
      new RegExp(`^load ${this.#orders++} (\\d+) (\\d+) (\\d+)\r?$`, "m"),
      ANSWER_LIMIT,
    );
    return {
      rounds: Number(rounds),
      time: Number(time),
      lost: Number(lost) * TICK,
      processor: await this.#processor() - processor,
    };
  }
}

/** Directory in `/proc` of the emulator's thread for a processor. */
async function cpuThread(pid: number, cpu: number): Promise<string> {
  for await (const { name } of Deno.readDir(`/proc/${pid}/task`)) {
    const path = `/proc/${pid}/task/${name}`;
    const text = await Deno.readTextFile(`${path}/comm`);
    if (text.startsWith(`CPU ${cpu}/`)) return path;
  }
  throw new Error(`the emulator has no thread for CPU ${cpu}`);
}
