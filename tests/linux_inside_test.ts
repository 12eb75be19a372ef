import { assertEquals } from "@std/assert";
import { LINUX_KERNELS, linuxGuest } from "./lab/mod.ts";
import { attackLab } from "./linux/attacks/attack_lab.ts";
import { buildInside } from "./rungs/build_inside.ts";
import { COLUMNS } from "./rungs/columns.ts";
import { Inside } from "./rungs/inside.ts";
import { linuxRungAttacks } from "./rungs/linux_attacks.ts";
import { linuxOutcomes } from "./rungs/linux_outcomes.ts";

/** Of each kind one; `deno task rungs` makes them all. */
const EXPECTED = {
  gate: [
    ["syscall-table-slot", "dropped", "XK-006"],
    ["trap-handler", "dropped", "XK-011"],
    ["text-byte", "landed", "XK-001"],
    ["cr0-wp", "dropped", "XK-013"],
  ],
} as const;

Deno.test("attacks from inside a Linux guest are stopped or found", async (t) => {
  const linux = await linuxGuest("6.1");
  const { suite } = LINUX_KERNELS["6.1"];
  const module = await buildInside(linux.kernel, suite);
  await using lab = await attackLab(linux, await Inside.files(module));
  for (const [rung, expected] of Object.entries(EXPECTED)) {
    const column = COLUMNS.find((column) =>
      column.guest === "6.1" && column.rung === rung
    )!;
    await t.step(`by ${rung} of a ${column.type} guest`, async () => {
      const names: string[] = expected.map(([name]) => name);
      const outcomes = await linuxOutcomes(
        lab,
        linux,
        column,
        undefined,
        linuxRungAttacks(column.type).filter(({ name }) =>
          names.includes(name)
        ),
      );
      assertEquals(
        outcomes.map(({ attack, result, rules, wrong }) => [
          attack,
          result,
          ...rules,
          ...wrong,
        ]),
        expected.map((one) => [...one]),
      );
    });
  }
});
