/**
 * Attacks Linux guests in every way of the catalog, and writes what xkmon finds
 * of it to docs/detection-matrix.md:
 * `deno task matrix [--kernel V] [--type T] [--attack A]`, where each option can
 * be given more than once. With kernels and types only those columns are made
 * anew; with attacks none is, and the outcome is only printed.
 *
 * Ends with exit status 1 if an attack was not found, or was named wrongly.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { hostCommand } from "../../lab/host_command.ts";
import { linuxGuest, type LinuxGuestType } from "../../lab/linux_guest.ts";
import { LINUX_KERNELS, type LinuxVersion } from "../../lab/linux_kernels.ts";
import { chosen } from "../../support/chosen.ts";
import { refuseOption } from "../../support/refuse_option.ts";
import { attackLab } from "./attack_lab.ts";
import { AttackSession } from "./attack_session.ts";
import { ATTACKS } from "./catalog.ts";
import type { Column } from "./column.ts";
import { keepColumn, keptColumn } from "./kept_columns.ts";
import { matrixText } from "./matrix_text.ts";
import type { Outcome } from "./outcome.ts";

const FILE = new URL("../../../docs/detection-matrix.md", import.meta.url);
const VERSIONS = Object.keys(LINUX_KERNELS) as LinuxVersion[];
const TYPES: readonly LinuxGuestType[] = ["pv", "pvh"];

function line({ name, hole, found, time, wrong }: Outcome): string {
  const text = hole ??
    (time === undefined ? "missed" : `${found.join(", ")}, ${time} ms`);
  return [`${name}: ${text}`, ...wrong].join("\n    ");
}

/** Writes the file, if there is an outcome for each of its cells. */
async function writeMatrix(): Promise<void> {
  const columns: Column[] = [];
  for (const version of VERSIONS) {
    for (const type of TYPES) {
      const column = await keptColumn({ version, type });
      if (column === undefined) {
        console.log(`${FILE.pathname} waits for ${version} ${type}`);
        return;
      }
      columns.push(column);
    }
  }
  await Deno.writeTextFile(FILE, matrixText(ATTACKS, columns));
  await hostCommand([Deno.execPath(), "fmt", "--quiet", FILE.pathname]);
}

const asked = parseArgs(Deno.args, {
  string: ["kernel", "type", "attack"],
  collect: ["kernel", "type", "attack"],
  unknown: refuseOption("[--kernel V] [--type T] [--attack A]"),
});
const types = chosen(TYPES, asked.type);
const names = chosen(ATTACKS.map(({ name }) => name), asked.attack);
const isWhole = names.length === ATTACKS.length;

let bad = 0;
for (const version of chosen(VERSIONS, asked.kernel)) {
  const linux = await linuxGuest(version);
  await using lab = await attackLab(linux);
  for (const type of types) {
    const { release } = linux.kernel;
    console.log(`Linux ${release}, ${type}`);
    await using session = await AttackSession.start(lab, linux, type);
    const outcomes: Outcome[] = [];
    for (const attack of ATTACKS) {
      if (!names.includes(attack.name)) continue;
      const outcome = await session.run(attack);
      console.log(`  ${line(outcome)}`);
      outcomes.push(outcome);
      if (outcome.wrong.length > 0) bad++;
    }
    if (isWhole) await keepColumn({ version, release, type, outcomes });
  }
}
if (isWhole) await writeMatrix();
Deno.exitCode = bad === 0 ? 0 : 1;
