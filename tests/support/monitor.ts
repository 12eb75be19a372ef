import type { CommandResult, Job, Lab } from "../lab/mod.ts";
import { poll } from "../lab/poll.ts";
import type { PrintedEvent, PrintedFinding } from "./printed_event.ts";
import { LIMIT, XKMON } from "./start_lab.ts";

/** An xkmon that runs in Dom0 and prints JSON. */
export class Monitor implements AsyncDisposable {
  /** The process in Dom0. */
  readonly job: Job;

  private constructor(job: Job) {
    this.job = job;
  }

  /**
   * Starts xkmon and returns at once.
   *
   * @param args what follows `xkmon --json` on the command line.
   */
  static async start(lab: Lab, ...args: string[]): Promise<Monitor> {
    return new Monitor(await lab.spawn([XKMON, "--json", ...args]));
  }

  /**
   * The same without a guardian, which takes as long to start as the monitor
   * itself: for what is not about its end.
   */
  static async startAlone(lab: Lab, ...args: string[]): Promise<Monitor> {
    return await Monitor.start(lab, ...args, "--fail-closed");
  }

  /** What it has printed so far. */
  async events(): Promise<PrintedEvent[]> {
    // The last line may still grow
    const lines = (await this.job.text()).split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line));
  }

  /**
   * Waits for an event, among those already printed too.
   *
   * @param what names it, for the message.
   * @throws {Deno.errors.TimedOut} if it does not come in time.
   * @throws {Error} if the monitor ends without it.
   */
  async waitFor(
    what: string,
    wanted: (event: PrintedEvent) => boolean | undefined,
    timeoutMs = LIMIT,
  ): Promise<PrintedEvent> {
    const said = async () =>
      `${what}; xkmon said\n${await this.job.text()}${await this.job.text(
        "stderr",
      )}`;
    return await poll(async () => {
      const ended = this.job.code !== undefined;
      const event = (await this.events()).find(wanted);
      if (event === undefined && ended) {
        throw new Error(`ended with ${this.job.code} before ${await said()}`);
      }
      return event;
    }, { timeoutMs, waitingFor: said });
  }

  /** Waits until every rule is at work on a domain, or on any at all. */
  async armed(domid?: number, timeoutMs = LIMIT): Promise<PrintedEvent> {
    return await this.waitFor(
      "a guarded guest",
      ({ type, phase, domain }) =>
        type === "armed" && phase === "running" &&
        (domid === undefined || domain.id === domid),
      timeoutMs,
    );
  }

  /** Waits until every rule is at work on what became of a domain. */
  async rearmed(previous: number, timeoutMs = LIMIT): Promise<PrintedEvent> {
    return await this.waitFor(
      `a guarded successor of domain ${previous}`,
      ({ type, phase, domain }) =>
        type === "armed" && phase === "running" && domain.id > previous,
      timeoutMs,
    );
  }

  /** Waits for the response to an attack in a domain. */
  async response(domid: number): Promise<PrintedEvent> {
    return await this.waitFor(
      `a response to an attack in domain ${domid}`,
      ({ type, domain }) => type === "response" && domain.id === domid,
    );
  }

  /** Waits for a finding in a domain. */
  async finding(domid: number): Promise<PrintedFinding> {
    const { finding } = await this.waitFor(
      `a finding in domain ${domid}`,
      ({ type, domain }) => type === "finding" && domain.id === domid,
    );
    return finding!;
  }

  /** Waits for a notice. */
  async notice(text: RegExp): Promise<PrintedEvent> {
    return await this.waitFor(
      `${text}`,
      (event) => event.type === "notice" && text.test(event.text!),
    );
  }

  /** What it has found so far in a domain, or in all. */
  async findings(domid?: number): Promise<PrintedFinding[]> {
    return (await this.findingEvents(domid)).map(({ finding }) => finding!);
  }

  /** The same, as the events that tell it. */
  async findingEvents(domid?: number): Promise<PrintedEvent[]> {
    return (await this.events()).filter(({ finding, domain }) =>
      finding !== undefined && (domid === undefined || domain.id === domid)
    );
  }

  /** Waits for its end. */
  async ended(): Promise<CommandResult> {
    return await this.job.wait(LIMIT);
  }

  /** Asks it to end, and waits until it has. */
  async stop(signal: "SIGINT" | "SIGTERM" = "SIGTERM"): Promise<CommandResult> {
    await this.job.signal(signal);
    return await this.ended();
  }

  /** Leaves no moment to clean up. */
  async kill(): Promise<void> {
    await this.job.signal("SIGKILL");
    await this.ended();
  }

  /** Ends it if it still runs. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.job.code === undefined) await this.stop();
  }
}
