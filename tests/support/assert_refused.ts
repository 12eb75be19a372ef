import { assertEquals, assertMatch } from "@std/assert";

/** Asserts exit status 2 and one line that says why. */
export function assertRefused(
  { code, stderr }: { readonly code: number; readonly stderr: string },
  reason: RegExp,
): void {
  assertMatch(stderr, reason);
  assertMatch(stderr, /^xkmon: [^\n]+\n$/);
  assertEquals(code, 2);
}
