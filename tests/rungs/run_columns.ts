import {
  bochs,
  type LabConfig,
  LINUX_KERNELS,
  linuxGuest,
  type LinuxVersion,
} from "../lab/mod.ts";
import { attackLab } from "../linux/attacks/attack_lab.ts";
import { startLab } from "../support/start_lab.ts";
import { buildInside } from "./build_inside.ts";
import type { RungColumn, RungHost } from "./columns.ts";
import { Inside } from "./inside.ts";
import { linuxOutcomes } from "./linux_outcomes.ts";
import type { RungOutcome } from "./rung_outcome.ts";
import { simpleosOutcomes } from "./simpleos_outcomes.ts";

/** Bochs takes its time. */
const LABS: Readonly<
  Record<RungHost, Pick<LabConfig, "emulator" | "bootTimeoutMs">>
> = {
  qemu: {},
  bochs: { emulator: bochs, bootTimeoutMs: 240_000 },
};

/** Is told of each outcome. */
export type Tell = (outcome: RungOutcome) => void;

/** A column with what came of it. */
export interface FilledColumn {
  readonly column: RungColumn;
  readonly outcomes: readonly RungOutcome[];
}

async function* runSimpleos(
  host: RungHost,
  columns: readonly RungColumn[],
  tell: Tell,
): AsyncGenerator<FilledColumn> {
  await using lab = await startLab(LABS[host]);
  for (const column of columns) {
    console.log(...Object.values(column));
    yield { column, outcomes: await simpleosOutcomes(lab, column, tell) };
  }
}

async function* runLinux(
  version: LinuxVersion,
  host: RungHost,
  columns: readonly RungColumn[],
  tell: Tell,
): AsyncGenerator<FilledColumn> {
  const linux = await linuxGuest(version);
  const { suite } = LINUX_KERNELS[version];
  const module = await buildInside(linux.kernel, suite);
  await using lab = await attackLab(
    linux,
    await Inside.files(module),
    LABS[host],
  );
  for (const column of columns) {
    console.log(...Object.values(column));
    yield { column, outcomes: await linuxOutcomes(lab, linux, column, tell) };
  }
}

/** Makes columns, those with the same guest and host in one lab. */
export async function* runColumns(
  columns: readonly RungColumn[],
  tell: Tell,
): AsyncGenerator<FilledColumn> {
  const labs = Map.groupBy(columns, ({ guest, host }) => `${guest} ${host}`);
  for (const columns of labs.values()) {
    const { guest, host } = columns[0]!;
    if (guest === "simpleos") yield* runSimpleos(host, columns, tell);
    else yield* runLinux(guest, host, columns, tell);
  }
}
