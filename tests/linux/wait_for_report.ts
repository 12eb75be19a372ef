import { poll } from "../lab/poll.ts";
import { tail } from "../lab/tail.ts";

/**
 * Waits until a guest that was asked for a report has given it and has come to
 * rest.
 *
 * @param console reads all that the guest has written.
 * @returns what it has written.
 * @throws {Deno.errors.TimedOut} after 5 minutes, with the console's end.
 */
export async function waitForReport(
  console: () => Promise<string>,
): Promise<string> {
  const text = await poll(async () => {
    const text = await console();
    return text.includes("guest ready") ? text : undefined;
  }, {
    timeoutMs: 300_000,
    // It may be some megabytes.
    intervalMs: 500,
    waitingFor: async () =>
      `the guest's report${tail("its console", await console(), 40)}`,
  });
  // What the kernel has put off until it is idle.
  await new Promise((resolve) => setTimeout(resolve, 3000));
  return text;
}
