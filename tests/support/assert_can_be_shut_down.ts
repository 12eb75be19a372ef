import type { SimpleOS } from "../simpleos/guest.ts";

/** The guest's own system call, and what it calls, are as they were. */
export async function assertCanBeShutDown(simpleos: SimpleOS): Promise<void> {
  await simpleos.send("shutdown");
  await simpleos.guest.waitForState((state) => state === undefined, 30_000);
}
