import type { PrintedEvent } from "../../support/printed_event.ts";
import type { NoiseResult } from "./noise_result.ts";

/** Counts how often each text comes. */
function tally(texts: Iterable<string>): string[] {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].sort().map(([text, count]) => `${count} x ${text}`);
}

function unreadable({ unreadable }: PrintedEvent): string[] {
  if (unreadable === undefined) return [];
  const { rule, what, reason } = unreadable;
  return [`${rule.id} ${what}: ${reason}`];
}

/** What came of a guest's noise, in some lines of text. */
export function renderNoise(result: NoiseResult): string {
  const { guard, counts } = result;
  const events = guard?.events ?? [];
  const findings = events.filter(({ finding }) => finding !== undefined);
  // One pass tells all that it has to tell within milliseconds.
  const passes = new Set(events.map(({ time }) => time.slice(0, -5)));
  const lists: Record<string, readonly string[]> = {
    findings: findings.map((event) => JSON.stringify(event)),
    regions: tally(
      events.flatMap(({ regions = [] }) => regions.map(({ rung }) => rung)),
    ),
    unreadable: tally(events.flatMap(unreadable)),
    instrumentation: tally(
      events.flatMap(({ instrumentation }) => instrumentation?.by ?? []),
    ),
    notices: tally(events.flatMap(({ text }) => text ?? [])),
    "the guest's counts": [...counts].map(([name, n]) => `${name} ${n}`),
    "the guest's complaints": result.complaints,
  };
  return [
    `Linux ${result.release}: ${Math.round(result.seconds)} s of noise; ${
      guard === undefined
        ? "xkmon did not run"
        : `xkmon armed in ${Math.round(guard.armSeconds)} s, took ` +
          `${Math.round(guard.cpuSeconds)} s of processor time and told ` +
          `something in ${passes.size} different seconds`
    }`,
    ...Object.entries(lists).flatMap(([name, lines]) => [
      `${name}: ${lines.length}`,
      ...lines.map((line) => `  ${line}`),
    ]),
  ].join("\n");
}
