import type { EventBody, Response } from "./event.ts";
import type { Finding } from "./finding.ts";
import type { GuestDomain } from "./guest.ts";
import type { Incident } from "./incident.ts";
import type { ResponseLimits } from "./response_limits.ts";
import type { ResponsePlan } from "./response_plan.ts";
import { tellFindings } from "./tell_findings.ts";

/** How a guard responds. */
export interface ResponseOptions {
  readonly responses: ResponsePlan;
  /** Lasts as long as the monitor, through all reboots of the guest */
  readonly limits: ResponseLimits;
  /** Keeps evidence of an incident; returns where it is */
  readonly keepEvidence?: (incident: Incident) => Promise<string>;
}

/** A guest that can be responded to. */
export interface RespondingGuest {
  readonly domain: GuestDomain;
  /** Lets it run that was paused because of an attack. */
  resume(): void;
  reboot(): void;
  destroy(): Promise<void>;
}

/** What a guard knows of its guest beside what it finds. */
export type IncidentSetting = Pick<Incident, "os" | "regions">;

/** What became of the evidence. */
interface Evidence {
  readonly text: string;
  readonly path?: string;
  readonly failed?: true;
}

/** Does what is to be done about findings, and tells it. */
export class Responder {
  #guest: RespondingGuest;
  #options: ResponseOptions;
  #report: (event: EventBody) => void;
  #restore: () => readonly Finding[] | string;
  #setting: () => IncidentSetting;

  /**
   * @param report Gets each response
   * @param restore Puts the paused guest right; says what, or why it is not
   * @param setting What evidence has to tell of the guest
   */
  constructor(
    guest: RespondingGuest,
    options: ResponseOptions,
    report: (event: EventBody) => void,
    restore: () => readonly Finding[] | string,
    setting: () => IncidentSetting,
  ) {
    this.#guest = guest;
    this.#options = options;
    this.#report = report;
    this.#restore = restore;
    this.#setting = setting;
  }

  /**
   * Responds to findings. What stops the guest finds it paused.
   *
   * @param findings At least one
   */
  async respond(findings: readonly Finding[]): Promise<void> {
    const { responses } = this.#options;
    const { response, dump } = responses.strongest(findings);
    const evidence = dump
      ? await this.#keepEvidence(findings, response)
      : undefined;
    const tell = (done: Response, ...texts: (string | undefined)[]) =>
      this.#tell(done, evidence, [this.#unblocked(findings), ...texts]);
    // What would undo the traces waits for the operator
    if (evidence?.failed && responses.stops(findings)) {
      return tell("pause", this.#paused);
    }
    const { name } = this.#guest.domain;
    switch (response) {
      case "report":
        if (evidence !== undefined) tell("report", `${name} runs on`);
        break;
      case "block":
        tell("block", `${name} runs on`);
        break;
      case "restore":
        this.#tryRestore(tell);
        break;
      case "pause":
      case "dump":
        tell(response, this.#paused);
        break;
      case "reboot":
        this.#tryReboot(tell);
        break;
      case "destroy":
        tell("destroy", `${name} is being destroyed`);
        await this.#guest.destroy();
        break;
    }
  }

  get #paused(): string {
    const { id, name } = this.#guest.domain;
    return `${name} is paused; to let it run: xl unpause ${id}`;
  }

  #tryRestore(tell: (done: Response, ...texts: string[]) => void): void {
    const { restores } = this.#options.limits;
    const restored = restores.take(performance.now())
      ? this.#restore()
      : `restored ${restores.most} times within ${restores.window / 1000} s`;
    if (typeof restored === "string") {
      return tell("pause", restored, this.#paused);
    }
    const done = restored.length === 0
      ? "nothing had landed"
      : "what was changed is put back, and verified";
    tell("restore", done, `${this.#guest.domain.name} runs on`);
    this.#guest.resume();
  }

  #tryReboot(tell: (done: Response, ...texts: string[]) => void): void {
    const { reboots } = this.#options.limits;
    if (!reboots.take(performance.now())) {
      const minutes = reboots.window / 60_000;
      const text = `rebooted ${reboots.most} times within ${minutes} minutes`;
      return tell("pause", text, this.#paused);
    }
    tell("reboot", `${this.#guest.domain.name} is being rebooted`);
    this.#guest.reboot();
  }

  #tell(
    response: Response,
    evidence: Evidence | undefined,
    texts: readonly (string | undefined)[],
  ): void {
    const path = evidence?.path;
    this.#report({
      type: "response",
      response,
      text: [...texts, evidence?.text].filter((text) => text !== undefined)
        .join("; "),
      ...(path === undefined ? {} : { evidence: path }),
    });
  }

  /** A promise that was not kept is said, whatever else is done. */
  #unblocked(findings: readonly Finding[]): string | undefined {
    const landed = findings.filter(({ rule, seen }) =>
      this.#options.responses.of(rule).response === "block" &&
      (seen === "compare" || seen === "drift")
    );
    return landed.length === 0
      ? undefined
      : `not blocked: ${tellFindings(landed)} was changed, and stays so`;
  }

  async #keepEvidence(
    findings: readonly Finding[],
    response: Response,
  ): Promise<Evidence> {
    const { limits, keepEvidence } = this.#options;
    if (keepEvidence === undefined) {
      return { text: "nobody keeps evidence", failed: true };
    }
    const refused = limits.refuseDump(performance.now());
    if (refused !== undefined) {
      return { text: `no evidence is kept: ${refused}` };
    }
    try {
      const { domain } = this.#guest;
      const path = await keepEvidence({
        time: new Date(),
        domain,
        findings,
        ...this.#setting(),
        response: response === "dump" ? "dump" : `dump+${response}`,
        standsStill: this.#options.responses.stops(findings),
        staysPaused: response === "dump" || response === "pause",
      });
      return { text: `evidence is in ${path}`, path };
    } catch (error) {
      const reason = error instanceof Error ? error.message : error;
      return { text: `evidence could not be kept: ${reason}`, failed: true };
    }
  }
}
