import { UnreadableMemoryError } from "../guestos/memory.ts";
import type { SymbolTable } from "../guestos/symbol_table.ts";
import type { Unreadable } from "./finding.ts";
import type { Rule } from "./rules.ts";

/**
 * Turns guest memory that could not be read into what is told of it.
 *
 * @param rule Which could not tell
 * @param error What was caught
 * @throws The error itself if it is another one
 */
export function tellUnreadable(
  rule: Rule,
  symbols: SymbolTable,
  error: unknown,
): Unreadable {
  if (!(error instanceof UnreadableMemoryError)) throw error;
  const { address, reason } = error;
  return { rule, what: symbols.describe(address), address, reason };
}

/** Tells pages that could not be read as one; nothing if there are none. */
export function* tellTogether(
  unreadable: readonly Unreadable[],
): Generator<Unreadable> {
  const [first] = unreadable;
  if (first === undefined) return;
  const { length } = unreadable;
  yield length === 1
    ? first
    : { ...first, reason: `${first.reason}, as are ${length - 1} other pages` };
}

/**
 * What is told of a rule that cannot judge a kernel which is not up. The guest
 * itself says that it is not: an enemy may say so for ever.
 */
export function tellBooting(rule: Rule): Unreadable {
  return {
    rule,
    what: "the kernel",
    reason: "it says that it still boots, so this rule cannot judge it",
  };
}
