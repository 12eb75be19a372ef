import { assert } from "@std/assert";
import type { Lab } from "../lab/mod.ts";
import { hasJournal } from "./has_journal.ts";
import { Monitor } from "./monitor.ts";

/**
 * Lets a monitor arm and kills it, and what it did to the guest stays.
 *
 * @param args what follows `xkmon` on the command line.
 */
export async function abandon(
  lab: Lab,
  domid: number,
  ...args: string[]
): Promise<void> {
  const killed = await Monitor.startAlone(lab, ...args);
  await killed.armed(domid);
  await killed.kill();
  assert(await hasJournal(lab, domid));
}
