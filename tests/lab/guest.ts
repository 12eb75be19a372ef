import { exists } from "./exists.ts";
import type { Lab } from "./lab.ts";
import { poll } from "./poll.ts";
import { tail } from "./tail.ts";

/** A guest of the lab's Xen. */
export class Guest {
  /** Its name in `xl list`. */
  readonly name: string;
  #lab: Lab;
  #log: string;
  #logStart: number;

  /** For {@linkcode Lab}: its console's log, and where in it its own begins. */
  constructor(lab: Lab, name: string, log: string, logStart: number) {
    this.name = name;
    this.#lab = lab;
    this.#log = log;
    this.#logStart = logStart;
  }

  /** Its current domain id, another one after each reboot. */
  async domid(): Promise<number> {
    return Number((await this.#lab.run(["xl", "domid", this.name])).stdout);
  }

  /**
   * The state column of `xl list`, six places of letters and dashes: running,
   * blocked, paused, shut down, crashed, dying. `undefined`: no such guest.
   */
  async state(): Promise<string | undefined> {
    const { stdout } = await this.#lab.run(["xl", "list"]);
    for (const line of stdout.split("\n")) {
      const [name, , , , state] = line.split(/\s+/);
      if (name === this.name) return state;
    }
  }

  /** Waits until {@linkcode state} satisfies `wanted`. */
  async waitForState(
    wanted: (state: string | undefined) => boolean,
    timeoutMs = 60_000,
  ): Promise<void> {
    let last: string | undefined;
    await poll(async () => {
      last = await this.state();
      return wanted(last) || undefined;
    }, {
      timeoutMs,
      intervalMs: 100,
      waitingFor: async () =>
        `another state of ${this.name}, which is ${last ?? "gone"}` +
        tail(`${this.name}'s console`, await this.console()),
    });
  }

  /** What the guest has written to its console, reboots included. */
  async console(): Promise<string> {
    if (!await exists(this.#log)) return "";
    const bytes = await Deno.readFile(this.#log);
    return new TextDecoder().decode(bytes.subarray(this.#logStart));
  }

  /**
   * Waits until the guest's console matches.
   *
   * @throws {Deno.errors.TimedOut} with the end of the console.
   */
  async waitForConsole(
    pattern: RegExp,
    timeoutMs = 60_000,
  ): Promise<RegExpMatchArray> {
    return await poll(
      async () => (await this.console()).match(pattern) ?? undefined,
      {
        timeoutMs,
        waitingFor: async () =>
          `${pattern}` + tail(`${this.name}'s console`, await this.console()),
      },
    );
  }

  /** Types a line on its console. */
  async type(line: string): Promise<void> {
    const terminal = await this.xenstoreRead("console/tty");
    await this.#lab.run(`echo '${line}' >${terminal}`);
  }

  /**
   * Asks the guest to shut down, and waits until it has.
   *
   * @throws {Deno.errors.TimedOut} if it does not.
   */
  async shutdown(timeoutMs = 60_000): Promise<void> {
    await this.#lab.run(["xl", "shutdown", this.name]);
    await this.waitForState((state) => state === undefined, timeoutMs);
  }

  /** Takes the guest away. */
  async destroy(): Promise<void> {
    await this.#lab.run(["xl", "destroy", this.name]);
  }

  /** Stops its virtual CPUs. */
  async pause(): Promise<void> {
    await this.#lab.run(["xl", "pause", this.name]);
  }

  /** Lets its virtual CPUs run again. */
  async unpause(): Promise<void> {
    await this.#lab.run(["xl", "unpause", this.name]);
  }

  /**
   * Reads a value of the guest's part of xenstore.
   *
   * @param path below `/local/domain/DOMID/`.
   * @returns the value, `undefined` if there is none.
   */
  async xenstoreRead(path: string): Promise<string | undefined> {
    const { code, stdout } = await this.#lab.run(
      ["xenstore-read", `/local/domain/${await this.domid()}/${path}`],
      { check: false },
    );
    return code === 0 ? stdout.replace(/\n$/, "") : undefined;
  }

  /** Writes a value into the guest's part of xenstore. */
  async xenstoreWrite(path: string, value: string): Promise<void> {
    await this.#lab.run([
      "xenstore-write",
      `/local/domain/${await this.domid()}/${path}`,
      value,
    ]);
  }
}
