import type { PlannedChange } from "./planned_change.ts";

/** What the program in Dom0 says: one line of JSON for each command. */
export interface Answer {
  /** The guest is open. */
  readonly ready?: true;
  /** When the change was made, by Dom0's clock, ms since 1970. */
  readonly time?: number;
  /** What was changed: address, decimal, and bytes. */
  readonly places?: readonly (readonly [string, number])[];
  /** What the guest then says on its console, a regular expression. */
  readonly effect?: string;
  /** What would be changed, if that was asked for. */
  readonly plan?: readonly PlannedChange[];
  /** Why the attack cannot be made on this guest. */
  readonly skipped?: string;
  /** Whether the change was still there before it was undone. */
  readonly wasThere?: boolean;
  /** What went wrong. */
  readonly error?: string;
}
