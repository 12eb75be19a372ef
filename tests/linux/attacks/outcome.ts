/** What came of one attack on one guest. */
export interface Outcome {
  /** Of the attack. */
  readonly name: string;
  /** Why it could not be made. */
  readonly hole?: string;
  /** IDs of the rules that found it, ascending. */
  readonly found: readonly string[];
  /** From the change to the finding that came last, by Dom0's clock, ms. */
  readonly time?: number;
  /** What is not as it must be; none if all went well. */
  readonly wrong: readonly string[];
}
