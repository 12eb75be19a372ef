import { assertEquals } from "@std/assert";
import type { SimpleOS } from "../simpleos/guest.ts";

/**
 * Asserts that a guest runs and that nothing of xkmon is left in it: the table
 * that xkmon protects can be written. The guest is tampered with afterwards.
 */
export async function assertUnprotected(simpleos: SimpleOS): Promise<void> {
  const domid = await simpleos.guest.domid();
  const { stdout } = await simpleos.lab.run(["ls", "-A", "/run/xkmon"]);
  assertEquals(
    stdout.split("\n").filter((name) => name.startsWith(`${domid}.`)),
    [],
  );
  await simpleos.waitForTick();
  assertEquals(await simpleos.command("data_attack"), "done");
}
