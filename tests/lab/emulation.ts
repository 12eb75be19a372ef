import { exists } from "./exists.ts";
import { poll } from "./poll.ts";
import { SIGNALS } from "./signals.ts";
import { tail } from "./tail.ts";

const END_SIGNALS = ["SIGHUP", "SIGINT", "SIGTERM"] as const;

/** What has to be stopped when this process is. */
const running = new Set<Emulation>();

const listeners = END_SIGNALS.map((signal) => ({
  signal,
  async listener() {
    await Promise.allSettled([...running].map((emulation) => emulation.stop()));
    Deno.exit(128 + SIGNALS[signal]);
  },
}));

/** A running emulator, in a temporary directory of its own. */
export class Emulation implements AsyncDisposable {
  /** The directory; `share` in it is for files of the machine. */
  readonly directory: string;
  /** Process id of the emulator. */
  readonly pid: number;
  #process: Deno.ChildProcess;
  #output: Promise<string>;
  #stopped?: Promise<void>;

  private constructor(directory: string, command: readonly string[]) {
    this.directory = directory;
    // Before there is anything to stop: a signal may come at any time.
    running.add(this);
    if (running.size === 1) {
      for (const { signal, listener } of listeners) {
        Deno.addSignalListener(signal, listener);
      }
    }
    try {
      this.#process = new Deno.Command("setpriv", {
        // However this process ends, the emulator ends with it.
        args: ["--pdeathsig", "KILL", ...command],
        cwd: directory,
        stdin: "null",
        stdout: "null",
        stderr: "piped",
      }).spawn();
    } catch (error) {
      this.#forget();
      throw error;
    }
    this.pid = this.#process.pid;
    this.#output = new Response(this.#process.stderr).text();
  }

  /**
   * Turns the machine on.
   *
   * @param command runs the emulator in the directory, where it makes
   * `console.log` and its sockets.
   * @param files what the directory holds: name there, and path.
   */
  static async start(
    command: readonly string[],
    files: Readonly<Record<string, string>>,
  ): Promise<Emulation> {
    const directory = await Deno.makeTempDir({ prefix: "xkmon-lab-" });
    try {
      for (const [name, path] of Object.entries(files)) {
        await Deno.symlink(path, `${directory}/${name}`);
      }
      for (const name of ["console", "files", "guests", "jobs", "log"]) {
        await Deno.mkdir(`${directory}/share/${name}`, { recursive: true });
      }
      return new Emulation(directory, command);
    } catch (error) {
      await Deno.remove(directory, { recursive: true });
      throw error;
    }
  }

  /** Connects to a serial port's socket, as soon as it is there. */
  async connect(name: string, timeoutMs = 20_000): Promise<Deno.UnixConn> {
    let ended = false;
    this.#process.status.then(() => ended = true);
    return await poll(async () => {
      if (ended) throw await this.ended();
      try {
        return await Deno.connect({
          transport: "unix",
          path: `${this.directory}/${name}`,
        });
      } catch (error) {
        if (
          error instanceof Deno.errors.NotFound ||
          error instanceof Deno.errors.ConnectionRefused
        ) return undefined;
        throw error;
      }
    }, { timeoutMs, waitingFor: () => `the emulator's ${name}` });
  }

  /** Resolves when the emulator has ended by itself, with all it said. */
  async ended(): Promise<Error> {
    const { code, signal } = await this.#process.status;
    return new Error(
      `the emulator ended with ${signal ?? `status ${code}`}` +
        tail("its standard error", await this.#output) +
        (this.#stopped ? "" : tail("its console", await this.console())),
    );
  }

  /** What the machine has written to its console; in a lab, Xen and Dom0. */
  async console(): Promise<string> {
    const path = `${this.directory}/console.log`;
    return await exists(path) ? await Deno.readTextFile(path) : "";
  }

  /** Ends the emulator and removes its directory. */
  stop(): Promise<void> {
    return this.#stopped ??= this.#stop();
  }

  /** Same as {@linkcode stop}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    try {
      this.#process.kill("SIGKILL");
    } catch (error) {
      // It has ended already.
      if (!(error instanceof TypeError)) throw error;
    }
    await this.#process.status;
    await this.#output;
    await Deno.remove(this.directory, { recursive: true });
    this.#forget();
  }

  #forget(): void {
    running.delete(this);
    if (running.size > 0) return;
    for (const { signal, listener } of listeners) {
      Deno.removeSignalListener(signal, listener);
    }
  }
}
