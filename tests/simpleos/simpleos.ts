import type { Guest, Lab } from "../lab/mod.ts";
import { TELL_TIME, toldTime } from "../support/told_time.ts";

/** Puts an order into xenstore, and tells when. Arguments: guest, order. */
const SEND = `set -e
home=/local/domain/$(xl domid "$1")
${TELL_TIME}
xenstore-write "$home/data/command" "$2"`;

/**
 * Waits for the answer to an order, in Dom0, which is quicker than from here.
 * Arguments: guest, number of the order, limit in seconds.
 */
const AWAIT_ANSWER = `id=$(xl domid "$1") || exit 1
end=$(($(date +%s) + $3))
while [ "$(date +%s)" -le "$end" ]; do
  answer=$(xenstore-read "/local/domain/$id/data/answer" 2>/dev/null)
  case $answer in "$2 "*) echo "\${answer#* }"; exit 0;; esac
  usleep 20000
done
exit 2`;

/** Reads a node of the guest. Arguments: guest, path below its home. */
const READ = `id=$(xl domid "$1") || exit 1
xenstore-read "/local/domain/$id/$2"`;

let lastOrder = 0;

/** A running SimpleOS, seen from Dom0. */
export class SimpleOS {
  /** The lab it runs in. */
  readonly lab: Lab;
  /** The guest as the toolstack sees it. */
  readonly guest: Guest;

  /** For {@linkcode startSimpleOS}. */
  constructor(lab: Lab, guest: Guest) {
    this.lab = lab;
    this.guest = guest;
  }

  /**
   * Gives an order and waits for the answer.
   *
   * @param order `"ping"`, `"peek ffffffff80101000"`, `"data_attack"` and so on.
   * @returns the answer: `"pong"`, `"done"`, `"blocked"` and so on.
   * @throws {Error} if there is no answer in time, or no guest.
   */
  async command(order: string, timeoutMs = 60_000): Promise<string> {
    return await this.answer(await this.send(order), timeoutMs);
  }

  /**
   * Gives an order and returns at once, for where no answer is to come.
   *
   * @returns the order's number, for {@linkcode answer}.
   */
  async send(order: string): Promise<number> {
    return (await this.sendTimed(order)).number;
  }

  /** Does the same, and tells when: ms since 1970, by Dom0's clock. */
  async sendTimed(order: string): Promise<{ number: number; time: number }> {
    const number = ++lastOrder;
    const { stdout } = await this.#run(SEND, [`${number} ${order}`]);
    return { number, time: toldTime(stdout) };
  }

  /**
   * Waits for the answer to the order of that number.
   *
   * @throws {Error} if there is none in time, or no guest.
   */
  async answer(number: number, timeoutMs = 60_000): Promise<string> {
    const limit = Math.ceil(timeoutMs / 1000);
    const { code, stdout } = await this.#run(
      AWAIT_ANSWER,
      [String(number), String(limit)],
      timeoutMs + 30_000,
    );
    if (code !== 0) {
      throw new Error(
        `${this.guest.name} does not answer order ${number}; its console:\n` +
          (await this.guest.console()).slice(-2000),
      );
    }
    return stdout.trim();
  }

  /** What the guest says it does: `"running"`, `"attacked data_attack"`... */
  async state(): Promise<string | undefined> {
    return await this.#read("data/state");
  }

  /** The guest's tick counter, 100 a second, as of at most 250 ms ago. */
  async ticks(): Promise<number> {
    return Number(await this.#read("data/ticks"));
  }

  /** Waits until the tick counter has grown, which only a running guest does. */
  async waitForTick(timeoutMs = 60_000): Promise<void> {
    const start = await this.ticks();
    const end = Date.now() + timeoutMs;
    while (!(await this.ticks() > start)) {
      if (Date.now() > end) {
        throw new Error(`${this.guest.name} stands still at tick ${start}`);
      }
    }
  }

  async #read(path: string): Promise<string | undefined> {
    const { code, stdout } = await this.#run(READ, [path]);
    return code === 0 ? stdout.trim() : undefined;
  }

  async #run(script: string, parameters: string[], timeoutMs?: number) {
    return await this.lab.run(
      ["sh", "-c", script, "sh", this.guest.name, ...parameters],
      { check: script === SEND, timeoutMs },
    );
  }
}
