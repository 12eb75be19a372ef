import type { Attack } from "./attack.ts";
import type { Column } from "./column.ts";
import type { Outcome } from "./outcome.ts";

const INTRODUCTION = `# Detection matrix

What xkmon finds of attacks on Linux guests. This file is written by
\`deno task matrix\`, which for each kernel and type of guest

1. starts a guest with a stock kernel of Debian,
2. lets xkmon guard it (\`--on-attack report --interval 0.5 --rungs poll\`:
   nothing is stopped, all is to be found),
3. makes one attack after another from Dom0, as one who rules the guest's kernel
   could, and reads back through the guest's own page tables that the change is
   there; where it is cheap the guest also shows on its console what the attack
   does,
4. waits until xkmon has named the attack, and undoes it.

A cell has the [rules](rules/) that found the attack, all of those that must and
no other, and the seconds from the change to the last finding, by Dom0's clock.
Nothing was told of any other place. A number in brackets leads to the reason why
there is nothing to find.

\`deno task matrix --kernel V --type T\` makes one column anew and keeps the others,
which may then be of another build of xkmon.

`;

const MACHINE = `
The machine was an emulated one (QEMU without hardware virtualization, one
processor for Xen, Dom0 and the guest), which is many times slower than a real
one, and other work was done beside it: times are upper bounds.
`;

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}

/** The matrix as Markdown. */
export function matrixText(
  attacks: readonly Attack[],
  columns: readonly Column[],
): string {
  const reasons: string[] = [];
  const cell = ({ hole, found, time, wrong }: Outcome): string => {
    if (hole !== undefined) {
      if (!reasons.includes(hole)) reasons.push(hole);
      return `[${reasons.indexOf(hole) + 1}]`;
    }
    if (time === undefined) return "**missed**";
    const text = `${found.join(", ")}: ${seconds(time)}`;
    return wrong.length === 0 ? text : `${text} **(wrong)**`;
  };
  const head = [
    "attack",
    ...columns.map(({ version, type }) => `${version} ${type.toUpperCase()}`),
  ];
  const rows = attacks.map(({ name }, index) => [
    `[${name}](#${name})`,
    ...columns.map(({ outcomes }) => cell(outcomes[index]!)),
  ]);
  const table = [head, head.map(() => "---"), ...rows].map((cells) =>
    `| ${cells.join(" | ")} |\n`
  ).join("");
  const notes = reasons.map((reason, index) => `${index + 1}. ${reason}.\n`)
    .join("");
  const descriptions = attacks.map(({ name, description }) =>
    `### ${name}\n\n${description}\n\n`
  ).join("");
  const releases = [...new Set(columns.map(({ release }) => release))];
  return `${INTRODUCTION}${table}
${notes === "" ? "" : `Nothing to find:\n\n${notes}\n`}Kernels: ${
    releases.join(", ")
  }.
${MACHINE}
## Attacks

${descriptions}`;
}
