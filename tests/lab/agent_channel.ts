import { Job } from "./job.ts";
import { poll } from "./poll.ts";

/**
 * From one empty line to the next, ms. QEMU's processor now and then sleeps
 * through an interrupt of its timer, and everything in the machine waits then
 * for the next interrupt of another kind: that of a serial port.
 */
const WAKE_INTERVAL = 2000;

/**
 * The host's end of the line to Dom0's agent. `agent.c` describes what is
 * spoken there.
 */
export class AgentChannel implements Disposable {
  #connection: Deno.UnixConn;
  #directory: string;
  #jobs = new Map<number, Job>();
  #count = 0;
  #ready = false;
  #failure?: Error;
  #sending: Promise<void> = Promise.resolve();
  #waking: ReturnType<typeof setInterval>;

  /**
   * @param connection the machine's second serial port.
   * @param directory the shared directory of the jobs' files.
   * @param ended resolves when the machine has ended, with the reason.
   */
  constructor(
    connection: Deno.UnixConn,
    directory: string,
    ended: Promise<Error>,
  ) {
    this.#connection = connection;
    this.#directory = directory;
    ended.then((error) => this.#fail(error));
    this.#receive();
    this.#waking = setInterval(() => this.send(""), WAKE_INTERVAL);
  }

  /** Waits until the agent runs. */
  async ready(
    timeoutMs: number,
    waitingFor: () => string | Promise<string>,
  ): Promise<void> {
    await poll(() => {
      if (this.#failure) throw this.#failure;
      return this.#ready || undefined;
    }, { timeoutMs, waitingFor });
  }

  /** Has the agent start a command for `/bin/sh -c`. */
  async start(command: string, stdin?: string | Uint8Array): Promise<Job> {
    if (this.#failure) throw this.#failure;
    const number = ++this.#count;
    const path = `${this.#directory}/${number}`;
    await Deno.writeTextFile(`${path}.cmd`, command);
    if (typeof stdin === "string") stdin = new TextEncoder().encode(stdin);
    if (stdin) await Deno.writeFile(`${path}.in`, stdin);
    const job = new Job(this, number, command, path);
    this.#jobs.set(number, job);
    await this.send(`run ${number}`);
    return job;
  }

  /** Sends a request. */
  async send(request: string): Promise<void> {
    const bytes = new TextEncoder().encode(`${request}\n`);
    // One after the other, or the bytes of two requests could mix.
    this.#sending = this.#sending.then(async () => {
      try {
        for (let sent = 0; sent < bytes.length;) {
          sent += await this.#connection.write(bytes.subarray(sent));
        }
      } catch {
        // The machine has ended, which makes the wait for the answer fail.
      }
    });
    await this.#sending;
  }

  /** Ends the connection. */
  [Symbol.dispose](): void {
    clearInterval(this.#waking);
    this.#fail(new Error("the lab has been stopped"));
    this.#connection.close();
  }

  async #receive(): Promise<void> {
    const decoder = new TextDecoder();
    const buffer = new Uint8Array(4096);
    let text = "";
    try {
      while (true) {
        const count = await this.#connection.read(buffer);
        if (count === null) return;
        text += decoder.decode(buffer.subarray(0, count), { stream: true });
        const lines = text.split("\n");
        text = lines.pop()!;
        for (const line of lines) this.#obey(line);
      }
    } catch {
      // Closed on this side, or the machine has ended.
    }
  }

  /** Makes every wait for a job fail. */
  #fail(error: Error): void {
    this.#failure ??= error;
    for (const job of this.#jobs.values()) job.fail(this.#failure);
  }

  #obey(line: string): void {
    if (line === "ready") this.#ready = true;
    const match = line.match(/^(started|exited|killed|failed) (\d+) (\d+)$/);
    if (!match) return;
    const number = Number(match[2]);
    this.#jobs.get(number)?.report(match[1]!, Number(match[3]));
    if (match[1] !== "started") this.#jobs.delete(number);
  }
}
