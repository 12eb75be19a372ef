import { assertEquals } from "@std/assert";
import type { SimpleOS } from "../simpleos/guest.ts";

/** Asserts that a guest does not count on for a second. */
export async function assertStandsStill(simpleos: SimpleOS): Promise<void> {
  const ticks = await simpleos.ticks();
  await simpleos.lab.run("sleep 1");
  assertEquals(await simpleos.ticks(), ticks);
}
