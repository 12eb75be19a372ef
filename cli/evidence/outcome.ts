import type { Finding, Seen } from "../../detect/finding.ts";

/** What became of what was done, and how that is known. */
export interface Outcome {
  /** One word or two */
  readonly word: string;
  /** Whether it had no effect */
  readonly stopped: boolean;
  /** One sentence */
  readonly how: string;
}

const OUTCOMES: Readonly<Record<Seen, Outcome>> = {
  fault: {
    word: "stopped",
    stopped: true,
    how: "The read-only page stopped the write, and the guest's own handler " +
      "of page faults told of it.",
  },
  stop: {
    word: "stopped",
    stopped: true,
    how: "Xen told of it before it happened, and it was not let happen.",
  },
  compare: {
    word: "landed",
    stopped: false,
    how: "It was found by comparison with the trusted copy, after it had " +
      "landed.",
  },
  drift: {
    word: "in effect",
    stopped: false,
    how: "It was found by comparison with the state that was trusted, after " +
      "it had taken effect.",
  },
};

/** What became of what a finding tells of. */
export function outcomeOf({ seen }: Finding): Outcome {
  return OUTCOMES[seen];
}
