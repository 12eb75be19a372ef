import type { Lab } from "../lab/mod.ts";
import { poll } from "../lab/poll.ts";
import { leftFiles } from "./left_files.ts";

/** Generous: other labs may run on the same machine. */
const GUARDIAN_LIMIT = 60_000;

/** Waits until the guardian has undone all that a killed monitor did. */
export async function waitUntilUndone(lab: Lab, domid: number): Promise<void> {
  const left = () => leftFiles(lab, domid);
  await poll(async () => (await left()).length > 0 ? undefined : true, {
    timeoutMs: GUARDIAN_LIMIT,
    waitingFor: async () => `the guardian; there are ${await left()}`,
  });
}
