import type { Lab } from "../lab/mod.ts";
import { poll } from "../lab/poll.ts";
import { hasJournal } from "./has_journal.ts";

/** Generous: other labs may run on the same machine. */
const GUARDIAN_LIMIT = 60_000;

/** Waits until the guardian has undone all that a killed monitor did. */
export async function waitUntilUndone(lab: Lab, domid: number): Promise<void> {
  await poll(async () => await hasJournal(lab, domid) ? undefined : true, {
    timeoutMs: GUARDIAN_LIMIT,
    waitingFor: () => "the guardian",
  });
}
