import { assertEquals } from "@std/assert";
import type { SimpleOS } from "../simpleos/guest.ts";

/** Asserts that neither the guest nor its toolstack can shut it down. */
export async function assertCannotBeShutDown(
  simpleos: SimpleOS,
): Promise<void> {
  assertEquals(await simpleos.command("shutdown"), "shutdown returned");
  await simpleos.lab.run(["xl", "shutdown", simpleos.guest.name]);
  await simpleos.guest.waitForConsole(
    /control: poweroff\s+SimpleOS: control: shutdown returned/,
    30_000,
  );
  await simpleos.waitForTick();
}
