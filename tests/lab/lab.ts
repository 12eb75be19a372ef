import { AgentChannel } from "./agent_channel.ts";
import type { CommandResult } from "./command_result.ts";
import { Emulation } from "./emulation.ts";
import { exists } from "./exists.ts";
import { Guest } from "./guest.ts";
import { type GuestConfig, guestConfigText } from "./guest_config.ts";
import type { Job } from "./job.ts";
import { completeConfig, type LabConfig } from "./lab_config.ts";
import { labImages } from "./lab_images.ts";
import { shellQuote } from "./shell_quote.ts";
import { tail } from "./tail.ts";

/** What {@linkcode Lab.run} takes besides the command. */
export interface RunOptions {
  /** Limit in milliseconds: 60 s. */
  timeoutMs?: number;
  /** Whether another exit status than 0 is an error: yes. */
  check?: boolean;
  /** Standard input: empty. */
  stdin?: string | Uint8Array;
}

/**
 * A real Xen with a Linux Dom0, in an emulator.
 *
 * A command is text for Dom0's shell, or a program and its arguments as they
 * are. Commands may run at the same time.
 *
 * @example
 * ```ts
 * await using lab = await Lab.start();
 * await lab.put("dist/xkmon-x86_64-linux", "/xkmon");
 * console.log((await lab.run("xl info")).stdout);
 * ```
 */
export class Lab implements AsyncDisposable {
  /** Process id of the emulator. */
  readonly pid: number;
  /** Milliseconds from power on to the first command. */
  readonly bootMs: number;
  #emulation: Emulation;
  #channel: AgentChannel;
  #fileCount = 0;

  private constructor(
    emulation: Emulation,
    channel: AgentChannel,
    bootMs: number,
  ) {
    this.#emulation = emulation;
    this.#channel = channel;
    this.pid = emulation.pid;
    this.bootMs = bootMs;
  }

  /**
   * Builds what a lab needs, unless it is in the cache; the first time that
   * takes minutes.
   *
   * @returns The emulator's command, and its files by their names
   * @throws {RangeError} if the lab does not know the release of Xen.
   */
  static async prepare(
    config: LabConfig = {},
  ): Promise<{ command: string[]; files: Record<string, string> }> {
    const complete = completeConfig(config);
    const images = await labImages(complete);
    return {
      command: complete.emulator.command(complete),
      files: await complete.emulator.files(images, complete),
    };
  }

  /**
   * Builds what the lab needs, unless it is in the cache, and boots it.
   *
   * @throws {RangeError} if the lab does not know the release of Xen.
   * @throws {Error} with the end of Xen's console, if Dom0 does not come up.
   */
  static async start(config: LabConfig = {}): Promise<Lab> {
    const complete = completeConfig(config);
    const { command, files } = await Lab.prepare(complete);
    const start = Date.now();
    const emulation = await Emulation.start(command, files);
    try {
      const channel = new AgentChannel(
        await emulation.connect("agent.sock"),
        `${emulation.directory}/share/jobs`,
        emulation.ended(),
      );
      await channel.ready(
        complete.bootTimeoutMs,
        async () => "Dom0" + tail("the Xen console", await emulation.console()),
      );
      const lab = new Lab(emulation, channel, Date.now() - start);
      for (const { from, to, mode } of complete.files) {
        await lab.put(from, to, mode);
      }
      return lab;
    } catch (error) {
      await emulation.stop();
      throw error;
    }
  }

  /**
   * Runs a command in Dom0 to its end.
   *
   * @throws {Deno.errors.TimedOut} if it takes too long; it is killed then.
   * @throws {Error} if it fails and `check` is not false.
   */
  async run(
    command: string | readonly string[],
    { timeoutMs = 60_000, check = true, stdin }: RunOptions = {},
  ): Promise<CommandResult> {
    const job = await this.#channel.start(shellQuote(command), stdin);
    let result: CommandResult;
    try {
      result = await job.wait(timeoutMs);
    } catch (error) {
      if (job.code === undefined) await job.signal("SIGKILL");
      throw error;
    }
    await job.removeFiles();
    if (check && result.code !== 0) {
      throw new Error(
        `${job.command}: exit status ${result.code}` +
          tail("standard output", result.stdout) +
          tail("standard error", result.stderr),
      );
    }
    return result;
  }

  /** Starts a command in Dom0 and leaves it running. */
  async spawn(
    command: string | readonly string[],
    { stdin }: Pick<RunOptions, "stdin"> = {},
  ): Promise<Job> {
    return await this.#channel.start(shellQuote(command), stdin);
  }

  /**
   * Copies a file of the host into Dom0's memory. Directories on the way are
   * made, a file that is there is replaced, even one that is running.
   *
   * @param mode permission bits, those of the host's file if not given.
   */
  async put(from: string, to: string, mode?: number): Promise<void> {
    const bits = (mode ?? (await Deno.stat(from)).mode ?? 0o644) & 0o7777;
    const name = `files/${++this.#fileCount}`;
    const path = `${this.#emulation.directory}/share/${name}`;
    try {
      await Deno.link(await Deno.realPath(from), path);
    } catch {
      // Another file system, or a file of another user.
      await Deno.copyFile(from, path);
    }
    await this.run([
      "sh",
      "-ec",
      'mkdir -p "${2%/*}/"; cp "$1" "$2.new"; chmod "$3" "$2.new"; mv "$2.new" "$2"',
      "put",
      `/share/${name}`,
      to,
      bits.toString(8),
    ]);
    await Deno.remove(path);
  }

  /** Copies a file of Dom0 to the host. */
  async get(from: string, to: string): Promise<void> {
    const name = `files/${++this.#fileCount}`;
    await this.run(["cp", from, `/share/${name}`]);
    const path = `${this.#emulation.directory}/share/${name}`;
    await Deno.copyFile(path, to);
    await Deno.remove(path);
  }

  /**
   * Starts a guest by `xl create`.
   *
   * @param config an xl configuration, as values or as its text with a `name`.
   */
  async createGuest(
    config: string | GuestConfig,
    { paused = false }: { paused?: boolean } = {},
  ): Promise<Guest> {
    const text = typeof config === "string" ? config : guestConfigText(config);
    const name = text.match(/^\s*name\s*=\s*["']([^"']+)["']/m)?.[1];
    if (name === undefined) {
      throw new TypeError("a guest configuration without a name");
    }
    const share = `${this.#emulation.directory}/share`;
    await Deno.writeTextFile(`${share}/guests/${name}.cfg`, text);
    const log = `${share}/console/guest-${name}.log`;
    const logStart = await exists(log) ? (await Deno.stat(log)).size : 0;
    const guest = new Guest(this, name, log, logStart);
    const options = paused ? ["-p"] : [];
    await this.run(["xl", "create", ...options, `/share/guests/${name}.cfg`]);
    return guest;
  }

  /**
   * All logs there are, by name: `xen` is Xen's and Dom0's console, `guest-*`
   * the guests' consoles, `xl-*` what the guests' xl daemons say.
   */
  async logs(): Promise<Map<string, string>> {
    const logs = new Map([["xen", await this.#emulation.console()]]);
    for (const name of ["console", "log"]) {
      const directory = `${this.#emulation.directory}/share/${name}`;
      for await (const entry of Deno.readDir(directory)) {
        const text = await Deno.readTextFile(`${directory}/${entry.name}`);
        logs.set(entry.name.replace(/\.log$/, ""), text);
      }
    }
    return logs;
  }

  /** Connects to the serial port that is `/dev/ttyS2` in Dom0. */
  async connectShell(): Promise<Deno.UnixConn> {
    return await this.#emulation.connect("shell.sock");
  }

  /** Ends the emulator. Nothing of the lab is left, logs neither. */
  async stop(): Promise<void> {
    this.#channel[Symbol.dispose]();
    await this.#emulation.stop();
  }

  /** Same as {@linkcode stop}. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
