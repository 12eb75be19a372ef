import { assert, assertEquals } from "@std/assert";
import { assertEvidence } from "./assert_evidence.ts";
import type { ExpectedFinding } from "./expected_findings.ts";
import type { PrintedFinding } from "./printed_event.ts";
import { SimpleOSFile } from "./simpleos_file.ts";

type Wanted = readonly (readonly [string, string | RegExp])[];

/** What must be said, with all that the kernel's file has to tell. */
function wantedOf(expected: ExpectedFinding, file: SimpleOSFile): Wanted {
  return Object.entries(expected).map(([key, value]) => [
    key,
    typeof value === "function" ? value(file) : value,
  ]);
}

function matches(wanted: Wanted, { rule, ...found }: PrintedFinding): boolean {
  const values: Readonly<Record<string, string | undefined>> = {
    ...found,
    rule: rule.id,
  };
  return wanted.every(([key, value]) =>
    value instanceof RegExp
      ? value.test(`${values[key]}`)
      : value === values[key]
  );
}

/**
 * Asserts that findings are those expected, each told once, and that SimpleOS's
 * file bears out the evidence of each.
 */
export async function assertFindings(
  found: readonly PrintedFinding[],
  expected: readonly ExpectedFinding[],
): Promise<void> {
  const file = await SimpleOSFile.read();
  const text = JSON.stringify(found, null, 2);
  for (const wanted of expected.map((one) => wantedOf(one, file))) {
    assertEquals(
      found.filter((other) => matches(wanted, other)).length,
      1,
      `${Deno.inspect(Object.fromEntries(wanted))} is not once in ${text}`,
    );
  }
  assert(found.length === expected.length, `More than expected: ${text}`);
  for (const finding of found) assertEvidence(finding, file);
}
