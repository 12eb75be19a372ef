import type { Lab } from "../lab/mod.ts";
import { ATTACKS, PVH_ATTACKS } from "../simpleos/guest.ts";
import { freshGuest } from "../support/fresh_guest.ts";
import { Monitor } from "../support/monitor.ts";
import type { RungColumn } from "./columns.ts";
import { judgeAttack } from "./judge_attack.ts";
import type { RungOutcome } from "./rung_outcome.ts";
import { waitForFindings } from "./wait_for_findings.ts";

/** Generous: Bochs is slow, and other labs may run on the same machine, ms. */
const ANSWER_LIMIT = 60_000;

/**
 * Makes each attack on a guest of its own, all guarded by one xkmon.
 *
 * @param tell is told of each outcome.
 */
export async function simpleosOutcomes(
  lab: Lab,
  { type, rung, rungs }: RungColumn,
  tell: (outcome: RungOutcome) => void,
): Promise<RungOutcome[]> {
  const outcomes: RungOutcome[] = [];
  await using stack = new AsyncDisposableStack();
  let guard: Monitor | undefined;
  for (const attack of type === "pvh" ? PVH_ATTACKS : ATTACKS) {
    await using fresh = await freshGuest(lab, { type });
    const { simpleos, domid } = fresh;
    // The first guest must be there before it
    const monitor = guard ??= stack.use(
      await Monitor.start(
        lab,
        ...["--dom", "simpleos", "--wait", "--on-attack", "report"],
        ...["--interval", "0.5", "--rungs", rungs],
      ),
    );
    const { regions } = await monitor.armed(domid);
    if (!regions!.some((region) => region.rung === rung)) {
      throw new Error(`no region is on ${rung}: ${JSON.stringify(regions)}`);
    }
    const ofGuest = async () =>
      (await monitor.events()).filter(({ domain }) => domain.id === domid);

    const before = await simpleos.command("checksum", ANSWER_LIMIT);
    const early = await ofGuest();
    const { number, time } = await simpleos.sendTimed(attack);
    const answer = await simpleos.answer(number, ANSWER_LIMIT);
    const after = await simpleos.command("checksum", ANSWER_LIMIT);
    const result = before !== after
      ? "landed"
      : answer === "done"
      ? "dropped"
      : "refused";
    const events = await waitForFindings(
      lab,
      result === "landed",
      async () => (await ofGuest()).slice(early.length),
    );
    const outcome = judgeAttack(attack, result, time, events);
    const accused = early.some(({ finding }) => finding !== undefined);
    outcomes.push(
      accused ? { ...outcome, wrong: ["a clean guest was accused"] } : outcome,
    );
    tell(outcomes.at(-1)!);
  }
  return outcomes;
}
