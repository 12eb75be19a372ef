import { assert, assertEquals } from "@std/assert";
import type { ExpectedFinding } from "./expected_findings.ts";
import type { PrintedFinding } from "./printed_event.ts";

function matches(
  { rule, ...expected }: ExpectedFinding,
  found: PrintedFinding,
): boolean {
  return rule === found.rule.id &&
    Object.entries(expected).every(([key, wanted]) => {
      const value = found[key as keyof PrintedFinding];
      return wanted instanceof RegExp
        ? wanted.test(`${value}`)
        : wanted === value;
    });
}

/** Asserts that findings are those expected, each told once. */
export function assertFindings(
  found: readonly PrintedFinding[],
  expected: readonly ExpectedFinding[],
): void {
  const text = JSON.stringify(found, null, 2);
  for (const finding of expected) {
    assertEquals(
      found.filter((other) => matches(finding, other)).length,
      1,
      `${Deno.inspect(finding)} is not once in ${text}`,
    );
  }
  assert(found.length === expected.length, `More than expected: ${text}`);
}
