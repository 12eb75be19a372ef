import type { PrintedEvent } from "../../support/printed_event.ts";

/** A hook in the kernel that xkmon accepts, as it prints it. */
export interface PrintedInstrumentation {
  /** Whose it is. */
  readonly by: string;
  /** The first of its places, and what that is part of. */
  readonly address: string;
  readonly symbol: string;
  /** How many there are. */
  readonly places: number;
}

/** A line of `xkmon --json` about a guest that makes noise. */
export type NoiseEvent = PrintedEvent & {
  readonly instrumentation?: PrintedInstrumentation;
};

/** What xkmon did while a guest made noise. */
export interface GuardResult {
  /** Seconds that it took to arm, and of processor time all in all. */
  readonly armSeconds: number;
  readonly cpuSeconds: number;
  /** All that it printed. */
  readonly events: readonly NoiseEvent[];
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
