import { type Response, responses } from "./event.ts";
import type { Finding } from "./finding.ts";
import type { Rule } from "./rules.ts";

/** What to do, and whether evidence is kept first. */
export interface PlannedResponse {
  readonly response: Response;
  readonly dump: boolean;
}

/** Responses from here on stop the guest, if only for a moment */
const FIRST_STOP = responses.indexOf("restore");

function strengthOf({ response }: PlannedResponse): number {
  return responses.indexOf(response);
}

/** What to do about the findings of each rule. */
export class ResponsePlan {
  readonly base: PlannedResponse;
  readonly byRule: ReadonlyMap<string, PlannedResponse>;

  /**
   * @param base For every rule that has none of its own
   * @param byRule By the rule's ID
   */
  constructor(
    base: PlannedResponse,
    byRule: ReadonlyMap<string, PlannedResponse> = new Map(),
  ) {
    this.base = base;
    this.byRule = byRule;
  }

  /** What to do about the findings of one rule. */
  of({ id }: Rule): PlannedResponse {
    return this.byRule.get(id) ?? this.base;
  }

  /**
   * What to do about findings of several rules at once: the strongest, and
   * evidence is kept if one of them wants that.
   *
   * @param findings At least one
   */
  strongest(findings: readonly Finding[]): PlannedResponse {
    const planned = findings.map(({ rule }) => this.of(rule));
    const { response } = planned.reduce((strongest, one) =>
      strengthOf(one) > strengthOf(strongest) ? one : strongest
    );
    const dump = planned.some(({ dump }) => dump);
    return { response: dump && response === "pause" ? "dump" : response, dump };
  }

  /** Whether one of the findings stops the guest. */
  stops(findings: readonly Finding[]): boolean {
    return findings.some(({ rule }) => strengthOf(this.of(rule)) >= FIRST_STOP);
  }

  /** Whether any finding may stop the guest. */
  get mayStop(): boolean {
    return this.#all.some((one) => strengthOf(one) >= FIRST_STOP);
  }

  /** Whether evidence may be kept. */
  get mayDump(): boolean {
    return this.#all.some(({ dump }) => dump);
  }

  get #all(): readonly PlannedResponse[] {
    return [this.base, ...this.byRule.values()];
  }
}
