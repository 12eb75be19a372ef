import type { Contradiction } from "../guestos/profile.ts";
import type { SymbolTable } from "../guestos/symbol_table.ts";
import type { Detector, Finding } from "./finding.ts";
import { rules } from "./rules.ts";

/**
 * XK-008: what the profile was made from does not contradict itself. It was
 * looked at once, when the profile was made; later changes are found by the
 * rules on contents.
 */
export class Contradictions implements Detector {
  readonly rule = rules.contradiction;
  #symbols: SymbolTable;
  #contradictions: readonly Contradiction[];

  constructor(
    symbols: SymbolTable,
    contradictions: readonly Contradiction[],
  ) {
    this.#symbols = symbols;
    this.#contradictions = contradictions;
  }

  check(): Finding[] {
    return this.#contradictions.map(({ address, summary }) => ({
      rule: this.rule,
      seen: "compare",
      what: "kernel",
      address,
      symbol: this.#symbols.describe(address),
      summary,
      key: `${this.rule.id} ${address.toString(16)} ${summary}`,
    }));
  }
}
