/** What came of one attack on one guest. */
export interface RungOutcome {
  /** The attack's name. */
  readonly attack: string;
  /**
   * Whether it landed: what the kernel runs, reads or has in a register is
   * another since; of several steps maybe not all. Where not, whether its
   * attacker was told (`refused`) or took it for done (`dropped`).
   */
  readonly result: "landed" | "landed in part" | "refused" | "dropped";
  /** IDs of the rules that told of it, ascending. */
  readonly rules: readonly string[];
  /** From the order to the first finding, by Dom0's clock, ms. */
  readonly time?: number;
  /** Whether that came as the write was stopped, and not of a pass. */
  readonly atOnce?: boolean;
  /** What else is not as it must be; none if all went well. */
  readonly wrong: readonly string[];
}
