import type { Lab, LinuxGuest } from "../lab/mod.ts";
import { Attacker } from "../linux/attacks/attacker.ts";
import type { PlannedChange } from "../linux/attacks/planned_change.ts";
import { startAttacked } from "../linux/attacks/start_attacked.ts";
import { Monitor } from "../support/monitor.ts";
import { untilQuiet } from "../support/until_quiet.ts";
import type { RungColumn } from "./columns.ts";
import { hasLanded } from "./has_landed.ts";
import { type Done, Inside } from "./inside.ts";
import { judgeAttack } from "./judge_attack.ts";
import { type LinuxRungAttack, linuxRungAttacks } from "./linux_attacks.ts";
import { ordersOfChange } from "./orders_of_change.ts";
import type { RungOutcome } from "./rung_outcome.ts";
import { waitForFindings } from "./wait_for_findings.ts";

/** In the emulator all takes its time, ms. */
const ARM_LIMIT = 600_000;

type Plans = ReadonlyMap<string, readonly PlannedChange[]>;

/** What each attack is to change, as somebody in Dom0 finds it out. */
async function planned(
  lab: Lab,
  name: string,
  attacks: readonly LinuxRungAttack[],
): Promise<Plans> {
  const plans = new Map<string, readonly PlannedChange[]>();
  await using attacker = await Attacker.start(lab, name, "--plan");
  for (const { attack } of attacks) {
    const { plan } = await attacker.command(attack);
    if (plan !== undefined) plans.set(attack, plan);
  }
  return plans;
}

/** What came of several changes. */
function resultOf(done: readonly Done[]): RungOutcome["result"] {
  const [first, ...others] = new Set(done.map(({ result }) => result));
  if (others.length === 0) return first!;
  return done.some(({ result }) => result === "landed")
    ? "landed in part"
    : "dropped";
}

/**
 * Makes each attack of a guest on itself, and undoes it if it landed.
 *
 * @param lab of `attackLab` with the files of {@linkcode Inside}.
 * @param tell is told of each outcome.
 * @param attacks all that such a guest can make, if not given.
 */
export async function linuxOutcomes(
  lab: Lab,
  linux: LinuxGuest,
  { type, rung, rungs }: RungColumn,
  tell: (outcome: RungOutcome) => void = () => {},
  attacks: readonly LinuxRungAttack[] = linuxRungAttacks(type),
): Promise<RungOutcome[]> {
  const guest = await startAttacked(lab, linux, type);
  const plans = await planned(lab, guest.name, attacks);
  await using monitor = await Monitor.start(
    lab,
    ...["--dom", guest.name, "--on-attack", "report", "--interval", "0.5"],
    ...["--rungs", rungs],
  );
  const { regions } = await monitor.armed(undefined, ARM_LIMIT);
  if (!regions!.some((region) => region.rung === rung)) {
    throw new Error(`no region is on ${rung}: ${JSON.stringify(regions)}`);
  }
  await untilQuiet(monitor);
  const accusations = await monitor.findings();
  if (accusations.length > 0) {
    throw new Error(`a clean guest is accused: ${JSON.stringify(accusations)}`);
  }
  const inside = await Inside.open(lab, guest);
  const outcomes: RungOutcome[] = [];
  for (const { name, attack, way } of attacks) {
    const plan = plans.get(attack);
    if (plan === undefined) continue;
    await untilQuiet(monitor);
    const before = (await monitor.events()).length;
    const done: Done[] = [];
    for (const change of plan) {
      for (const order of ordersOfChange(type, change, way, false)) {
        done.push(await inside.order(order));
      }
    }
    const result = resultOf(done);
    const events = await waitForFindings(
      lab,
      hasLanded(result),
      async () => (await monitor.events()).slice(before),
    );
    const { code } = monitor.job;
    if (code !== undefined) {
      const said = await monitor.job.text("stderr");
      throw new Error(`xkmon ended with ${code} by ${name}: ${said}`);
    }
    const outcome = judgeAttack(name, result, done[0]!.time, events);
    tell(outcome);
    outcomes.push(outcome);
    if (!hasLanded(result)) continue;
    for (const change of plan.toReversed()) {
      for (const order of ordersOfChange(type, change, way, true)) {
        await inside.order(order);
      }
    }
  }
  await monitor.stop();
  await guest.destroy();
  return outcomes;
}
