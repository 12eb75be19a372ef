import { poll } from "../lab/poll.ts";
import type { Monitor } from "./monitor.ts";

/** In which a pass comes for certain, and how long it may go on, ms. */
const QUIET_TIME = 4000;
const LIMIT = 60_000;

/** Waits until xkmon has had nothing new to say for a while. */
export async function untilQuiet(monitor: Monitor): Promise<void> {
  let count = -1;
  await poll(async () => {
    const before = count;
    count = (await monitor.events()).length;
    return count === before || undefined;
  }, {
    timeoutMs: LIMIT,
    intervalMs: QUIET_TIME,
    waitingFor: () => "xkmon to be quiet",
  });
}
