import type { PassResult } from "../../detect/finding.ts";

/** Findings and places that could not be told, a line each. */
export function residueLines(
  { findings, unreadable }: Pick<PassResult, "findings" | "unreadable">,
): string[] {
  return [
    ...findings.map(({ rule, symbol, summary }) =>
      `${rule.id} ${symbol}: ${summary}`
    ),
    ...unreadable.map(({ rule, what, reason }) =>
      `${rule.id} ${what}: ${reason}`
    ),
  ];
}
