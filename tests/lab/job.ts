import type { AgentChannel } from "./agent_channel.ts";
import type { CommandResult } from "./command_result.ts";
import { exists } from "./exists.ts";
import { poll } from "./poll.ts";
import { SIGNALS } from "./signals.ts";
import { tail } from "./tail.ts";

/** A standard stream of a {@linkcode Job}. */
export type JobStream = "stdout" | "stderr";

/** A command that runs in Dom0. */
export class Job {
  /** The command as the shell got it. */
  readonly command: string;
  /** Its number in this lab. */
  readonly number: number;
  #channel: AgentChannel;
  #path: string;
  #pid?: number;
  #code?: number;
  #failure?: Error;

  /** For {@linkcode AgentChannel}: `path` is that of its files, no suffix. */
  constructor(
    channel: AgentChannel,
    number: number,
    command: string,
    path: string,
  ) {
    this.#channel = channel;
    this.number = number;
    this.command = command;
    this.#path = path;
  }

  /** Process id in Dom0; `undefined` until the job has started. */
  get pid(): number | undefined {
    return this.#pid;
  }

  /** Exit status as in {@linkcode CommandResult}; `undefined` while it runs. */
  get code(): number | undefined {
    return this.#code;
  }

  /** For {@linkcode AgentChannel}: takes the agent's word about this job. */
  report(event: string, value: number): void {
    if (event === "started") this.#pid = value;
    else if (event === "exited") this.#code = value;
    else if (event === "killed") this.#code = 128 + value;
    else this.fail(new Error(`Dom0 cannot start a command: errno ${value}`));
  }

  /** For {@linkcode AgentChannel}: nothing more will be heard of this job. */
  fail(error: Error): void {
    this.#failure ??= error;
  }

  /** What the job has written so far. */
  async bytes(stream: JobStream = "stdout"): Promise<Uint8Array<ArrayBuffer>> {
    const path = `${this.#path}.${stream === "stdout" ? "out" : "err"}`;
    return await exists(path) ? await Deno.readFile(path) : new Uint8Array();
  }

  /** What the job has written so far, as text. */
  async text(stream: JobStream = "stdout"): Promise<string> {
    return new TextDecoder().decode(await this.bytes(stream));
  }

  /**
   * Yields the lines that the job writes, from the first one, until it ends.
   *
   * @param timeoutMs limit for the wait for one line.
   * @throws {Deno.errors.TimedOut} if a line takes longer.
   */
  async *lines(
    stream: JobStream = "stdout",
    timeoutMs = 60_000,
  ): AsyncGenerator<string> {
    for (let i = 0;; i++) {
      const line = await this.#poll(
        async () => {
          const ended = this.#code !== undefined;
          const lines = (await this.text(stream)).split("\n");
          if (i < lines.length - 1) return lines[i]!;
          if (ended) return lines[i] || null;
        },
        timeoutMs,
        `line ${i + 1} of ${stream}`,
      );
      if (line === null) return;
      yield line;
    }
  }

  /**
   * Waits for a line that matches, among those already written too.
   *
   * @throws {Deno.errors.TimedOut} if none comes in time.
   * @throws {Error} if the job ends without one.
   */
  async waitForLine(
    pattern: RegExp,
    timeoutMs = 60_000,
    stream: JobStream = "stdout",
  ): Promise<RegExpMatchArray> {
    return await this.#poll(
      async () => {
        const ended = this.#code !== undefined;
        const lines = (await this.text(stream)).split("\n");
        // The last one may still grow.
        for (const line of ended ? lines : lines.slice(0, -1)) {
          const match = line.match(pattern);
          if (match) return match;
        }
        if (ended) {
          throw new Error(
            `ended with ${this.#code} before ${pattern}: ${await this
              .#description()}`,
          );
        }
      },
      timeoutMs,
      `${pattern}`,
    );
  }

  /** Sends a signal to the job's process group. */
  async signal(signal: keyof typeof SIGNALS): Promise<void> {
    await this.#channel.send(`signal ${this.number} ${SIGNALS[signal]}`);
  }

  /**
   * Waits for the end of the job. Of the processes that it started only the
   * first one counts.
   *
   * @throws {Deno.errors.TimedOut} if it runs longer; it goes on running then.
   */
  async wait(timeoutMs = 60_000): Promise<CommandResult> {
    const code = await this.#poll(() => this.#code, timeoutMs, "its end");
    const bytes = await this.bytes();
    return {
      code,
      bytes,
      stdout: new TextDecoder().decode(bytes),
      stderr: await this.text("stderr"),
    };
  }

  /** For {@linkcode Lab}: removes the files of a job that has ended. */
  async removeFiles(): Promise<void> {
    for (const suffix of ["cmd", "in", "out", "err"]) {
      const path = `${this.#path}.${suffix}`;
      if (await exists(path)) await Deno.remove(path);
    }
  }

  async #poll<T>(
    attempt: () => T | undefined | Promise<T | undefined>,
    timeoutMs: number,
    what: string,
  ): Promise<T> {
    return await poll(async () => {
      const result = await attempt();
      if (result === undefined && this.#failure) throw this.#failure;
      return result;
    }, {
      timeoutMs,
      intervalMs: 10,
      waitingFor: async () => `${what}: ${await this.#description()}`,
    });
  }

  async #description(): Promise<string> {
    return this.command + tail("standard output", await this.text()) +
      tail("standard error", await this.text("stderr"));
  }
}
