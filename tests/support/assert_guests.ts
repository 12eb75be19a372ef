import { assertEquals } from "@std/assert";
import type { Lab } from "../lab/mod.ts";

/** Names in `xl list`, and ids in xenstore. */
const LIST = `xl list | awk 'NR > 1 { print $1 }'
echo
xenstore-list /local/domain | grep -c .`;

/**
 * Asserts that of all guests none but these is left, in Xen and in xenstore,
 * or will be soon. What is still mapped keeps a dead guest in Xen as `(null)`.
 */
export async function assertGuests(
  lab: Lab,
  ...names: readonly string[]
): Promise<void> {
  const expected = [...["Domain-0", ...names].sort(), `${names.length + 1}`];
  let found: string[] = [];
  for (let tries = 0; tries < 100; tries++) {
    const [list, count] = (await lab.run(LIST)).stdout.split("\n\n");
    found = [...list!.trim().split("\n").sort(), count!.trim()];
    if (found.join() === expected.join()) return;
  }
  assertEquals(found, expected);
}
