import type { PrintedEvent } from "../../support/printed_event.ts";

/** What xkmon did while a guest made noise. */
export interface GuardResult {
  /** Seconds that it took to arm, and of processor time all in all. */
  readonly armSeconds: number;
  readonly cpuSeconds: number;
  /** All that it printed. */
  readonly events: readonly PrintedEvent[];
  /** How it ended: its exit status, and its words of complaint. */
  readonly code: number;
  readonly stderr: string;
}

/** What came of a guest's noise. */
export interface NoiseResult {
  /** What `uname -r` says in the guest. */
  readonly release: string;
  /** How long the noise lasted, in seconds. */
  readonly seconds: number;
  /** What xkmon did, if the guest was not alone. */
  readonly guard?: GuardResult;
  /** How often what happened, by `KIND.WHAT`. */
  readonly counts: ReadonlyMap<string, number>;
  /** What the guest says of its failures, and its kernel of itself. */
  readonly complaints: readonly string[];
  /** What cut the noise short, if anything did. */
  readonly failure?: string;
  /** All that the guest wrote, and all that Xen did. */
  readonly console: string;
  readonly xen: string;
}
