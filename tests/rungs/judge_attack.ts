import type { PrintedEvent } from "../support/printed_event.ts";
import type { RungOutcome } from "./rung_outcome.ts";

/** How a finding was seen that came as the write was stopped. */
const AT_ONCE = ["fault", "stop"];

/**
 * Says what came of an attack.
 *
 * @param sent When it was ordered, by Dom0's clock, ms since 1970
 * @param events All that xkmon has said since
 */
export function judgeAttack(
  attack: string,
  result: RungOutcome["result"],
  sent: number,
  events: readonly PrintedEvent[],
): RungOutcome {
  const found = events.filter(({ finding }) => finding !== undefined);
  const rules = [...new Set(found.map(({ finding }) => finding!.rule.id))];
  const [first] = found;
  const wrong = events.flatMap(({ unreadable }) =>
    unreadable === undefined
      ? []
      : [`${unreadable.rule.id} could not tell: ${unreadable.reason}`]
  );
  return {
    attack,
    result,
    rules: rules.sort(),
    ...(first === undefined ? {} : {
      time: Date.parse(first.time) - sent,
      atOnce: AT_ONCE.includes(first.finding!.seen),
    }),
    wrong: [...new Set(wrong)],
  };
}
