import type { Finding } from "./finding.ts";

/** A write that is tried again within this time is the same incident, ms */
const SAME_FAULT = 10_000;
/** Incidents that are remembered; what a pass finds beyond them is not told */
const MAX_OPEN = 4096;

/**
 * Tells new incidents from those that were reported already. What a pass no
 * longer finds is over: if it comes back, it is new.
 */
export class Incidents {
  #open = new Set<string>();
  #faults = new Map<string, number>();

  /** Whether one of the findings was not in the last pass. */
  anyNew(findings: readonly Finding[]): boolean {
    return findings.some(({ key }) => !this.#open.has(key));
  }

  /**
   * The findings of a pass that were not in the one before.
   *
   * @param findings All findings of one pass
   */
  fromPass(findings: readonly Finding[]): Finding[] {
    const told = findings.slice(0, MAX_OPEN);
    const fresh = told.filter(({ key }) => !this.#open.has(key));
    this.#open = new Set(told.map(({ key }) => key));
    return fresh;
  }

  /** What was put right is over. */
  close(findings: readonly Finding[]): void {
    for (const { key } of findings) this.#open.delete(key);
  }

  /**
   * Whether a fault is a new incident.
   *
   * @param now Milliseconds on any steady clock
   */
  fromFault({ key }: Finding, now: number): boolean {
    const last = this.#faults.get(key);
    this.#faults.delete(key);
    this.#faults.set(key, now);
    if (this.#faults.size > MAX_OPEN) {
      this.#faults.delete(this.#faults.keys().next().value!);
    }
    return last === undefined || now - last > SAME_FAULT;
  }
}
