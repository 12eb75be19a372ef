import type { SymbolTable } from "../guestos/symbol_table.ts";
import type {
  Detector,
  Finding,
  Instrumentation,
  PassResult,
  Unreadable,
} from "./finding.ts";
import type { Guest } from "./guest.ts";
import { tellUnreadable } from "./tell_unreadable.ts";

/**
 * One look at a guest by several rules. What one of them could not read hides
 * neither what it found before nor what the others find. A guest that is being
 * taken apart is not judged.
 *
 * @param full Do also what is too slow for every pass
 */
export function look(
  guest: Guest,
  detectors: readonly Detector[],
  symbols: SymbolTable,
  full: boolean,
): PassResult {
  const findings: Finding[] = [];
  const unreadable: Unreadable[] = [];
  const instrumentation: Instrumentation[] = [];
  for (const detector of detectors) {
    try {
      for (const told of detector.check(full)) {
        if ("reason" in told) unreadable.push(told);
        else if ("by" in told) instrumentation.push(told);
        else findings.push(told);
      }
    } catch (error) {
      unreadable.push(tellUnreadable(detector.rule, symbols, error));
    }
  }
  if (findings.length > 0 || unreadable.length > 0) guest.assertAlive();
  return { findings, unreadable, instrumentation };
}
