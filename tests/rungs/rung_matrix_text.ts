import type { ColumnText } from "./column_text.ts";

const INTRODUCTION = `# Rungs

What becomes of attacks from inside a guest on each of the
[rungs](architecture.md#how-writes-are-stopped) that host and guest offer. This
file is written by \`npm run rungs\` (\`deno task rungs\`), which for each guest and
rung

1. starts the guest and lets xkmon guard it (\`--on-attack report --interval 0.5\`
   and \`--rungs\` as the head of the column says, so that the rung is the
   strongest that it may take),
2. tells the guest to attack itself,
3. sees whether the attack landed: whether what the kernel runs, reads or has in
   the register is another since, by the guest's own reading,
4. waits for what xkmon has to tell of it.

A cell says what became of the attack, which [rules](rules/) told of it, and the
time from the order to the first finding, by Dom0's clock:

- *refused*: it did not land, and the attacker's write or call failed;
- *dropped*: it did not land, though to the attacker it seems so;
- *landed*: it did, or did *in part*, and the rules found what it left;
- *at once*: told as the write was stopped; *in*: by a pass.

What did not land and left no trace is *not told*: a PV guest keeps its fault or
the refusal of its hypercall to itself unless it has a
[fault channel](fault-channel.md); behind a lock a write by another mapping goes
to the frame that the page had before, where nobody looks; of writes to gated code
Xen makes no event, nor of those to what is gated like it, which in Linux is all
data that is constant only after boot. An attack that lands and is not told makes
the command fail, and would be **bold**. The first column of each table is the rung that xkmon takes
unless it is told otherwise. Rules may tell of another step of an attack than the
one that was stopped. What they find later than two seconds after the first
finding is not waited for, and a write that is tried again within ten seconds is
told once.

With \`--guest G\`, \`--host H\`, \`--type T\` or \`--rung R\` only those columns are
made anew, and the others are kept, which may then be of another build of xkmon.
`;

const SIMPLEOS = `
## Attacks on SimpleOS

The guest makes them [itself](../tests/simpleos/attacks.c), each in a guest of its
own.
`;

const LINUX = `
## Attacks on Linux

They are those of the [detection matrix](detection-matrix.md#attacks), as far as
the guest can make them itself and no search of all its memory is needed to find
them; what they change is worked out in Dom0 before xkmon begins. A kernel module
in the guest (\`tests/rungs/inside.c\`) makes the change when it is told to:

- memory it writes through an alias, a mapping of its own, as whoever
  rules a kernel would; two attacks are also made *unprotected* (CR0.WP is cleared
  for the moment), *remapped* (the page-table entry is made writable for the
  moment) and by *hypercall* (\`mmu_update\` aimed at the frame);
- \`syscall-entry\` leads system calls through the module and then to where they
  were to go, so that the guest lives on.

One guest makes them one after another, and undoes what landed.
`;

const TIMES = `
## Machines

The machines were emulated (without hardware virtualization, one processor for
Xen, Dom0 and the guest), which are many times slower than real ones, and other
work was done beside them: times are upper bounds. They include the start of a
program in Dom0 that puts the order into xenstore, and the guest's own time until
it attacks.
`;

function row(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |\n`;
}

/** The columns of one guest on one host, side by side. */
function table(columns: readonly ColumnText[]): string {
  const attacks = new Set(columns.flatMap(({ cells }) => [...cells.keys()]));
  const head = ["attack", ...columns.map(({ head }) => head)];
  const rows = [...attacks].map((attack) => [
    `\`${attack}\``,
    ...columns.map(({ cells }) => cells.get(attack) ?? ""),
  ]);
  return [head, head.map(() => "---"), ...rows].map(row).join("");
}

function section([title, columns]: readonly [string, ColumnText[]]): string {
  return `\n### ${title}\n\n${table(columns)}`;
}

/** The matrix as Markdown: a table for each guest on each host. */
export function rungMatrixText(columns: readonly ColumnText[]): string {
  const [simpleos, linux] = [true, false].map((isSimpleos) => {
    const chosen = columns.filter(({ title }) =>
      title.startsWith("SimpleOS") === isSimpleos
    );
    const tables = Map.groupBy(chosen, ({ title }) => title);
    return [...tables].map(section).join("");
  });
  return INTRODUCTION + SIMPLEOS + simpleos + LINUX + linux + TIMES;
}
