/**
 * Lets guests attack themselves on every rung that their host offers, and
 * writes what becomes of it to docs/rung-matrix.md:
 * `deno task rungs [--guest G] [--host H] [--type T] [--rung R]`, where each option
 * can be given more than once. With options only those columns are made anew.
 *
 * Ends with exit status 1 if an attack landed and xkmon did not tell of it.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { hostCommand } from "../lab/host_command.ts";
import { chosen } from "../support/chosen.ts";
import { refuseOption } from "../support/refuse_option.ts";
import { COLUMNS, type RungColumn } from "./columns.ts";
import { isBad } from "./is_bad.ts";
import { type ColumnText, columnText } from "./column_text.ts";
import { keptColumns } from "./kept_columns.ts";
import { outcomeText } from "./outcome_text.ts";
import { rungMatrixText } from "./rung_matrix_text.ts";
import type { RungOutcome } from "./rung_outcome.ts";
import { runColumns } from "./run_columns.ts";

const FILE = new URL("../../docs/rung-matrix.md", import.meta.url);

/** What all columns have of one property. */
function all<K extends "guest" | "host" | "type" | "rung">(
  key: K,
): RungColumn[K][] {
  return [...new Set(COLUMNS.map((column) => column[key]))];
}

function tell(outcome: RungOutcome): void {
  const text = `  ${outcome.attack}: ${outcomeText(outcome)}`;
  console.log([text, ...outcome.wrong].join("\n    "));
}

/** Puts a column in place of that of an earlier run; the others are kept. */
async function writeMatrix(made: ColumnText): Promise<void> {
  const known = [made, ...keptColumns(await Deno.readTextFile(FILE))];
  const columns = COLUMNS.flatMap((column) => {
    const { title, head } = columnText(column);
    const text = known.find((other) =>
      other.title === title && other.head === head
    );
    if (text === undefined) console.log("not run yet:", title, head);
    return text ?? [];
  });
  await Deno.writeTextFile(FILE, rungMatrixText(columns));
  await hostCommand([Deno.execPath(), "fmt", "--quiet", FILE.pathname]);
}

const asked = parseArgs(Deno.args, {
  string: ["guest", "host", "type", "rung"],
  collect: ["guest", "host", "type", "rung"],
  unknown: refuseOption("[--guest G] [--host H] [--type T] [--rung R]"),
});
const guests = chosen(all("guest"), asked.guest);
const hosts = chosen(all("host"), asked.host);
const types = chosen(all("type"), asked.type);
const rungs = chosen(all("rung"), asked.rung);
const wanted = COLUMNS.filter(({ guest, host, type, rung }) =>
  guests.includes(guest) && hosts.includes(host) && types.includes(type) &&
  rungs.includes(rung)
);

let bad = 0;
for await (const { column, outcomes } of runColumns(wanted, tell)) {
  bad += outcomes.filter(isBad).length;
  await writeMatrix(columnText(column, outcomes));
}
Deno.exitCode = bad === 0 ? 0 : 1;
