import { assertEquals } from "@std/assert";
import type { SimpleOS } from "../simpleos/guest.ts";
import { leftFiles } from "./left_files.ts";

/**
 * Asserts that a guest runs and that nothing of xkmon is left in it: the table
 * that xkmon protects can be written. The guest is tampered with afterwards.
 */
export async function assertUnprotected(simpleos: SimpleOS): Promise<void> {
  const domid = await simpleos.guest.domid();
  assertEquals(await leftFiles(simpleos.lab, domid), []);
  await simpleos.waitForTick();
  assertEquals(await simpleos.command("data_attack"), "done");
}
