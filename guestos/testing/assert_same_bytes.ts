import { assert } from "@std/assert";

/**
 * Asserts that bytes are the expected ones, and says where they differ: to
 * show all of them would help nobody.
 *
 * @param what What they are, for the message
 */
export function assertSameBytes(
  actual: Uint8Array,
  expected: Uint8Array,
  what = "the bytes",
): void {
  assert(
    actual.length === expected.length,
    `${what}: ${actual.length} bytes, not ${expected.length}`,
  );
  const at = actual.findIndex((byte, i) => byte !== expected[i]);
  assert(
    at < 0,
    `${what}: at ${at} there is ${actual[at]}, not ${expected[at]}`,
  );
}
