/**
 * Checks profile and verdict on the cores of all kernels, `deno task
 * check-linux`, and writes what it saw to docs/linux-check.md. Takes an hour
 * where the cores are not in the cache. Argument: single bytes to change in
 * each core (10000).
 *
 * @module
 */
import { LINUX_KERNELS, type LinuxVersion } from "../lab/linux_kernels.ts";
import { checkCore, type CoreCheck } from "./check_core.ts";
import { checkModules } from "./check_modules.ts";
import { moduleCore } from "./module_core.ts";
import { type LinuxBoot, linuxCore } from "./linux_core.ts";

const BOOTS: readonly LinuxBoot[] = ["pv", "pvh", "kaslr", "intel"];
const DOC = new URL("../../docs/linux-check.md", import.meta.url);

const flips = Number(Deno.args[0] ?? 10_000);
/** In modules' code: the kernel's lists are read anew for each */
const moduleFlips = Math.ceil(flips / 20);
const rows: string[] = [];
const moduleRows: string[] = [];
let right = true;

function row(name: string, check: CoreCheck): string {
  const { symbols, offsets, pages, residue, found, legitimate } = check;
  return [
    name,
    `${symbols - check.unequalSymbols} of ${symbols}`,
    `${offsets - check.unequalOffsets.length} of ${offsets}`,
    `${residue.length} in ${pages} pages`,
    `${found} of ${check.flips}`,
    `${legitimate}`,
  ].join(" | ");
}

for (const version of Object.keys(LINUX_KERNELS) as LinuxVersion[]) {
  for (const boot of BOOTS) {
    const core = await linuxCore(version, boot);
    const check = await checkCore(core, flips);
    rows.push(row(`${core.release}, ${boot}`, check));
    console.log(rows.at(-1));
    for (const line of [...check.residue, ...check.unequalOffsets]) {
      console.log(`  ${line}`);
    }
    right &&= check.unequalSymbols === 0 && check.residue.length === 0 &&
      check.unequalOffsets.length === 0 &&
      check.found === check.flips;
  }
  const core = await moduleCore(version);
  const check = await checkModules(core, moduleFlips);
  const { loaded, judged, size, residue, found } = check;
  moduleRows.push(
    [
      core.kernel.release,
      `${judged} of ${loaded}`,
      `${residue.length} in ${size / 1024} KiB`,
      `${found} of ${check.flips}`,
      `${check.legitimate}`,
    ].join(" | "),
  );
  console.log(moduleRows.at(-1));
  for (const line of residue) console.log(`  ${line}`);
  right &&= judged === loaded && residue.length === 0 && found === check.flips;
}

await Deno.writeTextFile(
  DOC,
  `# Linux: what was checked

Made by \`deno task check-linux\` on cores of clean guests with Debian's stock
kernels: PV and PVH guests of Xen, and kernels that unpacked and moved themselves
on an emulated machine of AMD (kaslr) and of Intel with page-table isolation
(intel).

- Symbols: of the guest's own \`/proc/kallsyms\`, those that the profile from
  its memory has at the same address with the same type.
- Offsets: sizes and offsets of structures that a compiler takes from the
  kernel's headers, and the profile from the guest's types (BTF).
- Differences: what the rules tell of the clean guest, and places that they take
  for being changed at this moment, though the guest is idle; it should be
  nothing.
- Changed bytes: single random bytes of text and read-only data that were
  changed and found. Legitimate ones, on top of these, were changed to just what
  the kernel itself may write at this very place.

| kernel | symbols | offsets | differences | changed bytes found | legitimate |
| - | - | - | - | - | - |
${rows.map((line) => `| ${line} |`).join("\n")}

Modules, compared with their files (\`--modules\`):

| kernel | modules | differences | changed bytes found | legitimate |
| - | - | - | - | - |
${moduleRows.map((line) => `| ${line} |`).join("\n")}
`,
);
await new Deno.Command(Deno.execPath(), {
  args: ["fmt", "--quiet", DOC.pathname],
}).output();
Deno.exitCode = right ? 0 : 1;
