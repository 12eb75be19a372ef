/** How long {@linkcode poll} tries, and what it says when that is over. */
export interface PollOptions {
  /** Limit in milliseconds. */
  timeoutMs: number;
  /** Milliseconds between two attempts, 20 if not given. */
  intervalMs?: number;
  /** Names what is waited for, best with the tail of a log. */
  waitingFor: () => string | Promise<string>;
}

/**
 * Repeats `attempt` until it returns something other than `undefined`.
 *
 * @throws {Deno.errors.TimedOut} after `timeoutMs`.
 */
export async function poll<T>(
  attempt: () => T | undefined | Promise<T | undefined>,
  { timeoutMs, intervalMs = 20, waitingFor }: PollOptions,
): Promise<T> {
  const end = Date.now() + timeoutMs;
  while (true) {
    const result = await attempt();
    if (result !== undefined) return result;
    if (Date.now() >= end) {
      throw new Deno.errors.TimedOut(
        `${timeoutMs} ms were not enough for ${await waitingFor()}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, intervalMs));
  }
}
