import type { RungColumn } from "./columns.ts";
import { outcomeText } from "./outcome_text.ts";
import type { RungOutcome } from "./rung_outcome.ts";

const MACHINES = {
  qemu: "QEMU, a processor of AMD (SVM)",
  bochs: "Bochs, a processor of Intel (VMX)",
};

/** A column of the matrix as it is printed. */
export interface ColumnText {
  /** Title of the table that it belongs to: the guest, and its host */
  readonly title: string;
  readonly head: string;
  /** By attack, in order */
  readonly cells: ReadonlyMap<string, string>;
}

/**
 * Prints a column of the matrix.
 *
 * @param outcomes What came of it; left out if only its place is wanted.
 */
export function columnText(
  { guest, host, type, rung, rungs }: RungColumn,
  outcomes: readonly RungOutcome[] = [],
): ColumnText {
  const name = guest === "simpleos" ? "SimpleOS" : `Linux ${guest}`;
  return {
    title: `${name} as ${type.toUpperCase()} guest: ${MACHINES[host]}`,
    head: `${rung} (\`${rungs}\`)`,
    cells: new Map(
      outcomes.map((outcome) => [outcome.attack, outcomeText(outcome)]),
    ),
  };
}
