/**
 * Kills monitors at random moments while their guests attack themselves
 * (`deno task kills`): nothing of them may be left in the guest or in Xen. Exit
 * status: 0 if so, 1 if not, 2 if the command line is wrong.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { bochs, qemu } from "../lab/mod.ts";
import { refuseOption } from "../support/refuse_option.ts";
import { startLab } from "../support/start_lab.ts";
import { killMonitors } from "./kill_monitors.ts";

/** Where there are guests, and of which types. */
const HOSTS = {
  qemu: { emulator: qemu, types: ["pv", "pvh"] },
  bochs: { emulator: bochs, types: ["pvh"] },
} as const;
type Host = keyof typeof HOSTS;

const HELP = `Monitors that are killed while their guests attack.

Usage: deno task kills [--host qemu|bochs] [--type pv|pvh] [--count N]

  --host HOST   one emulator (both)
  --type TYPE   guests of one type (all that there are)
  --count N     of each type of guest (50)
  --help        show this`;

const options = parseArgs(Deno.args, {
  boolean: ["help"],
  string: ["host", "type", "count"],
  unknown: refuseOption("--host, --type, --count, --help"),
}) as { help?: boolean; host?: string; type?: string; count?: string };
if (options.help) {
  console.log(HELP);
  Deno.exit();
}
const isAsked = (asked: string | undefined, name: string) =>
  asked === undefined || asked === name;
const chosen = (Object.keys(HOSTS) as Host[])
  .filter((host) => isAsked(options.host, host))
  .map((host) => {
    const { emulator, types } = HOSTS[host];
    const asked = types.filter((type) => isAsked(options.type, type));
    return { host, emulator, types: asked };
  })
  .filter(({ types }) => types.length > 0);
const count = Number(options.count ?? 50);
if (chosen.length === 0 || !(count > 0)) {
  console.error(
    "kills: --host takes qemu or bochs, --type pv or (bochs as well) pvh, " +
      "--count a number",
  );
  Deno.exit(2);
}

const wrong: string[] = [];
for (const { host, emulator, types } of chosen) {
  await using lab = await startLab({ emulator, bootTimeoutMs: 240_000 });
  for (const type of types) {
    const found = await killMonitors(
      lab,
      type,
      count,
      (line) => console.error(`${host} ${line}`),
    );
    wrong.push(...found.map((line) => `${host} ${line}`));
    console.log(
      `${host}, ${type}: ${count} monitors killed, ${found.length} left something`,
    );
  }
}
for (const line of wrong) console.log(`  ${line}`);
Deno.exitCode = wrong.length === 0 ? 0 : 1;
