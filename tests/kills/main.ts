/**
 * Kills monitors at random moments while their guests attack themselves
 * (`deno task kills`): nothing of them may be left in the guest or in Xen. Exit
 * status: 0 if so, 1 if not, 2 if the command line is wrong.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { bochs, qemu } from "../lab/mod.ts";
import { startLab } from "../support/start_lab.ts";
import { killMonitors } from "./kill_monitors.ts";

/** Where there are guests, and of which types. */
const HOSTS = {
  qemu: { emulator: qemu, types: ["pv", "pvh"] },
  bochs: { emulator: bochs, types: ["pvh"] },
} as const;
type Host = keyof typeof HOSTS;

const HELP = `Monitors that are killed while their guests attack.

Usage: deno task kills [--host qemu|bochs] [--count N]

  --host HOST   one emulator (both)
  --count N     of each type of guest (50)
  --help        show this`;

const options = parseArgs(Deno.args, {
  boolean: ["help"],
  string: ["host", "count"],
}) as { help?: boolean; host?: string; count?: string };
if (options.help) {
  console.log(HELP);
  Deno.exit();
}
const hosts = Object.keys(HOSTS) as Host[];
const chosen = options.host === undefined
  ? hosts
  : hosts.filter((host) => host === options.host);
const count = Number(options.count ?? 50);
if (chosen.length === 0 || !(count > 0)) {
  console.error("kills: --host takes qemu or bochs, --count a number");
  Deno.exit(2);
}

const wrong: string[] = [];
for (const host of chosen) {
  const { emulator, types } = HOSTS[host];
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
