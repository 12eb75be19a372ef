/**
 * The paper's experiment on a real Xen: SimpleOS is attacked in its data and
 * in its code, without and with the monitor. Ends with the paper's 2x2 table
 * as it came out, and with exit status 0 only if it is the paper's.
 *
 * @module
 */
import { buildXkmon } from "../support/build_xkmon.ts";
import { Lab } from "../lab/mod.ts";
import { type SimpleOS, startSimpleOS } from "../simpleos/guest.ts";

const ATTACKS = ["data_attack", "code_attack"] as const;
type Attack = typeof ATTACKS[number];

const XKMON = "/root/xkmon";
/** How long a guest that can shut down may take to do so */
const SHUTDOWN_LIMIT = 5_000;
const START_LIMIT = 60_000;

/** What came out of one run. */
interface Outcome {
  readonly text: string;
  readonly asInPaper: boolean;
}

function say(text: string): void {
  console.log(text);
}

/** Runs a command in Dom0 and shows it as a person would see it. */
async function show(lab: Lab, command: string): Promise<string> {
  const { stdout, stderr } = await lab.run(command, { check: false });
  say(`dom0# ${command}\n${stdout}${stderr}`.trimEnd());
  return stdout;
}

/** Whether the guest ends when it is told to. */
async function canShutDown(simpleos: SimpleOS): Promise<boolean> {
  await simpleos.send("shutdown");
  try {
    await simpleos.guest.waitForState(
      (state) => state === undefined,
      SHUTDOWN_LIMIT,
    );
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.TimedOut) return false;
    throw error;
  }
}

async function without(lab: Lab, attack: Attack): Promise<Outcome> {
  say(`\n== ${attack}, no monitor`);
  const simpleos = await startSimpleOS(lab);
  say(`simpleos: ${attack} -> ${await simpleos.command(attack)}`);
  const ends = await canShutDown(simpleos);
  if (ends) return { text: "guest shuts down: no harm", asInPaper: false };
  await simpleos.waitForTick();
  await show(lab, "xl list");
  await simpleos.guest.destroy();
  return { text: "undetected; cannot be shut down", asInPaper: true };
}

async function withMonitor(lab: Lab, attack: Attack): Promise<Outcome> {
  say(`\n== ${attack}, guarded by xkmon`);
  const simpleos = await startSimpleOS(lab);
  const monitor = await lab.spawn([XKMON, "--dom", "simpleos"]);
  await monitor.waitForLine(/GUARDED/, START_LIMIT);
  await simpleos.send(attack);
  await monitor.waitForLine(/PAUSE/, START_LIMIT);
  say(`dom0# ./xkmon --dom simpleos\n${(await monitor.text()).trimEnd()}`);
  const list = await show(lab, "xl list");
  const paused = /^simpleos\s.*\s--p---\s/m.test(list);
  const named = (await monitor.text()).match(
    /ATTACK (XK-\d+) .*?: (\S+) .*\n.*instruction (\w+)\+/,
  );
  await monitor.signal("SIGTERM");
  await monitor.wait(START_LIMIT);
  await simpleos.guest.destroy();
  if (!paused) return { text: "guest runs on", asInPaper: false };
  if (named === null) return { text: "paused; not named", asInPaper: false };
  const [, rule, symbol, attacker] = named;
  return {
    text: `paused; ${rule}: ${symbol} by ${attacker}`,
    asInPaper: attacker === attack,
  };
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) =>
    Math.max(...rows.map((row) => row[column]!.length))
  );
  const lines = rows.map((row) =>
    `| ${row.map((cell, at) => cell.padEnd(widths[at]!)).join(" | ")} |`
  );
  const rule = `|${widths.map((width) => "-".repeat(width + 2)).join("|")}|`;
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}

say("Building xkmon and starting Xen in an emulator...");
const xkmon = await buildXkmon();
await using lab = await Lab.start();
await lab.put(xkmon, XKMON, 0o755);
await show(lab, "xl info | grep -E '^(xen_version|release|machine)'");
await show(lab, `${XKMON} --version`);
const outcomes: Outcome[][] = [];
for (const attack of ATTACKS) {
  outcomes.push([await without(lab, attack), await withMonitor(lab, attack)]);
}
say("");
say(table([
  ["attack", "without xkmon", "with xkmon"],
  ...ATTACKS.map((attack, at) => [
    attack,
    ...outcomes[at]!.map(({ text }) => text),
  ]),
]));
const asInPaper = outcomes.flat().every(({ asInPaper }) => asInPaper);
say(asInPaper ? "\nAs in the paper." : "\nNot as in the paper.");
Deno.exitCode = asInPaper ? 0 : 1;
