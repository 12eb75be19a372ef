import { assert, assertEquals } from "@std/assert";
import { CLOCK_STEP } from "./dom0_clock.ts";
import type { PrintedEvent } from "./printed_event.ts";

/**
 * Asserts that events carry an ISO 8601 time, and that none was before or after
 * what {@linkcode dom0Clock} said.
 */
export function assertToldBetween(
  events: readonly PrintedEvent[],
  start: number,
  end: number,
): void {
  for (const { time } of events) {
    const at = Date.parse(time);
    assertEquals(new Date(at).toISOString(), time);
    assert(
      start <= at && at < end + CLOCK_STEP,
      `${time} is not from ${start} to ${end}`,
    );
  }
}
