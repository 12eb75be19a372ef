import { assertEquals, assertNotEquals } from "@std/assert";
import { linuxGuest } from "./lab/mod.ts";
import { attackLab } from "./linux/attacks/attack_lab.ts";
import { AttackSession } from "./linux/attacks/attack_session.ts";
import { ATTACKS } from "./linux/attacks/catalog.ts";

/** One of each kind; `deno task matrix` makes them all. */
const CHOSEN = {
  pv: [
    "syscall-branch",
    "trap-handler",
    "hook-traced",
    "jump-label-flipped",
    "rodata-remapped",
    "text-swapped",
  ],
  pvh: [
    "syscall-table-slot",
    "syscall-entry",
    "trap-handler",
    "hook-unlisted",
    "static-call-key",
    "module-text",
    "module-data-executable",
    "cr0-wp",
    "btf-offset",
  ],
} as const;

Deno.test("attacks on Linux are found and named, and nothing else is", async (t) => {
  const linux = await linuxGuest("6.1");
  await using lab = await attackLab(linux);
  for (const type of ["pv", "pvh"] as const) {
    await using session = await AttackSession.start(lab, linux, type);
    for (const name of CHOSEN[type]) {
      await t.step(`${name} on a ${type.toUpperCase()} guest`, async () => {
        const attack = ATTACKS.find((attack) => attack.name === name)!;
        const { hole, found, time, wrong } = await session.run(attack);
        assertEquals([hole, wrong], [undefined, []]);
        assertEquals(found, [...attack.rules[type]].sort());
        assertNotEquals(time, undefined);
      });
    }
  }
});
