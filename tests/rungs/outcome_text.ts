import { isBad } from "./is_bad.ts";
import type { RungOutcome } from "./rung_outcome.ts";

function told({ rules, time, atOnce }: RungOutcome): string {
  if (time === undefined) return "not told";
  const seconds = (time / 1000).toFixed(2);
  return rules.join(", ") +
    (atOnce ? ` at once (${seconds} s)` : ` in ${seconds} s`);
}

/** A cell of the matrix: what became of an attack, and who told of it when. */
export function outcomeText(outcome: RungOutcome): string {
  const text = `${outcome.result}, ${told(outcome)}`;
  return isBad(outcome) ? `**${text}**` : text;
}
