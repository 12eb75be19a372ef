import type { Lab } from "../../lab/lab.ts";
import { cpuSeconds } from "../../support/cpu_seconds.ts";
import { Monitor } from "../../support/monitor.ts";
import type { GuardResult } from "./noise_result.ts";

/** In the emulator, while others use it too, ms */
const ARM_LIMIT = 600_000;

/** An xkmon that guards a guest which makes noise, and what that takes. */
export class NoiseGuard implements AsyncDisposable {
  /** Seconds that it took to arm. */
  readonly armSeconds: number;
  #lab: Lab;
  #monitor: Monitor;

  private constructor(lab: Lab, monitor: Monitor, armSeconds: number) {
    this.#lab = lab;
    this.#monitor = monitor;
    this.armSeconds = armSeconds;
  }

  /**
   * Starts it and waits until it is armed.
   *
   * @param name of the guest.
   * @param modules directory in Dom0 with the files of the guest's modules.
   */
  static async start(
    lab: Lab,
    name: string,
    modules: string,
  ): Promise<NoiseGuard> {
    const start = Date.now();
    const monitor = await Monitor.start(
      lab,
      ...["--dom", name, "--on-attack", "report", "--interval", "1"],
      ...["--modules", modules],
    );
    await monitor.armed(undefined, ARM_LIMIT);
    return new NoiseGuard(lab, monitor, (Date.now() - start) / 1000);
  }

  /** Whether it has ended by itself. */
  get hasEnded(): boolean {
    return this.#monitor.job.code !== undefined;
  }

  /** Ends it, and returns what it did. */
  async end(): Promise<GuardResult> {
    const { stdout } = await this.#lab.run(
      `cat /proc/${this.#monitor.job.pid}/stat`,
      { check: false },
    );
    const events = await this.#monitor.events();
    const { code, stderr } = await this.#monitor.stop();
    return {
      armSeconds: this.armSeconds,
      cpuSeconds: cpuSeconds(stdout),
      events,
      code,
      stderr,
    };
  }

  /** Ends it if it still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#monitor[Symbol.asyncDispose]();
  }
}
