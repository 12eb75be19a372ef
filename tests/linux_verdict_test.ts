import { assert, assertEquals, assertMatch } from "@std/assert";
import { ElfFile } from "../guestos/elf_file.ts";
import { checkCore } from "./linux/check_core.ts";
import { checkModules } from "./linux/check_modules.ts";
import { type LinuxBoot, linuxCore } from "./linux/linux_core.ts";
import { moduleCore } from "./linux/module_core.ts";
import { tamperCore } from "./linux/tamper_core.ts";
import { buildXkmon } from "./support/build_xkmon.ts";
import { LONG } from "./support/long.ts";

const FLIPS = 500;
const MODULE_FLIPS = 30;

/** Runs the program that operators get, on this machine without Xen. */
async function scanCore(core: string, ...options: string[]) {
  const digests = `${await Deno.makeTempDir()}/kernels.json`;
  const { code, stdout, stderr } = await new Deno.Command(await buildXkmon(), {
    args: ["scan", "--core", core, "--json", "--digests", digests, ...options],
    signal: AbortSignal.timeout(180_000),
  }).output();
  const text = new TextDecoder().decode(stdout);
  const events = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  return { code, events, stderr: new TextDecoder().decode(stderr) };
}

// xl takes minutes for the core of a PVH guest
const BOOTS: readonly LinuxBoot[] = LONG
  ? ["pv", "pvh", "kaslr", "intel"]
  : ["pv", "kaslr", "intel"];
for (const boot of BOOTS) {
  Deno.test(`Linux 6.1 (${boot}): every symbol and offset is right, every byte is explained, every changed byte is found`, async () => {
    const check = await checkCore(await linuxCore("6.1", boot), FLIPS);
    assert(check.symbols > 90_000);
    assertEquals(check.unequalSymbols, 0);
    assert(check.offsets > 80);
    assertEquals(check.unequalOffsets, []);
    assertEquals(check.residue, []);
    assertEquals(check.found, FLIPS);
    assert(check.legitimate < 3, `${check.legitimate} legitimate changes`);
  });
}

Deno.test("a core of a clean guest is clean, with its kernel file and without", async () => {
  const { core, kernel } = await linuxCore("6.1", "pv");
  for (const options of [["--kernel", kernel.image], []]) {
    const { code, events, stderr } = await scanCore(core, ...options);
    assertEquals([code, stderr], [0, ""]);
    assertEquals(events.at(-1).text, "scan: clean");
  }
});

Deno.test("a system call that was redirected in a core is found and named", async () => {
  const { core, kernel, kallsyms } = await linuxCore("6.1", "pv");
  const symbols = await Deno.readTextFile(kallsyms);
  const address = (name: string) =>
    BigInt(`0x${symbols.match(new RegExp(`^(\\w+) . ${name}$`, "m"))![1]}`);
  const READ = 0n;
  const target = await Deno.makeTempFile();
  try {
    const bytes = new Uint8Array(
      new BigUint64Array([address("__x64_sys_write")]).buffer,
    );
    const slot = address("sys_call_table") + 8n * READ;
    await tamperCore(core, target, slot, bytes);
    const { code, events } = await scanCore(
      target,
      "--kernel",
      kernel.image,
    );
    assertEquals(code, 1);
    const findings = events.filter(({ type }) => type === "finding");
    assertEquals(findings.length, 1);
    const [{ finding }] = findings;
    assertEquals(finding.rule.id, "XK-006");
    assertEquals(finding.symbol, "sys_call_table");
    assertMatch(
      finding.summary,
      /redirected from __x64_sys_read to __x64_sys_write/,
    );
  } finally {
    await Deno.remove(target);
  }
});

Deno.test("what is no core is refused in one line, with exit status 2", async () => {
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeTextFile(
      path,
      "no core, but long enough to be looked at".repeat(9),
    );
    const { code, stdout, stderr } = await new Deno.Command(
      await buildXkmon(),
      { args: ["scan", "--core", path] },
    ).output();
    assertEquals([code, stdout.length], [2, 0]);
    assertMatch(
      new TextDecoder().decode(stderr),
      /^xkmon: .* is no core of a guest: .*\n$/,
    );
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("every byte of loaded modules is that of their files, and every changed one is found", async () => {
  const check = await checkModules(await moduleCore("6.1"), MODULE_FLIPS);
  assert(check.loaded > 20);
  assertEquals(check.judged, check.loaded);
  assertEquals(check.residue, []);
  assertEquals(check.found, MODULE_FLIPS);
});

Deno.test("a module that is not that of its file is found, one without a file of its build is told", async () => {
  const { core, kernel } = await moduleCore("6.1");
  const directory = await Deno.makeTempDir();
  const original = await Deno.readFile(
    `${kernel.modules}/kernel/drivers/block/loop.ko`,
  );
  /** What is told with this file alone, changed at one place of a section. */
  const toldWith = async (section: string, last: number) => {
    const { sections } = new ElfFile(original);
    const { offset } = sections.find(({ name }) => name === section)!;
    const bytes = original.slice();
    bytes[offset + last]! ^= 1;
    await Deno.writeFile(`${directory}/loop.ko`, bytes);
    const { code, events } = await scanCore(
      core,
      ...["--kernel", kernel.image, "--modules", directory],
    );
    const unreadable = events.filter(({ type }) => type === "unreadable")
      .map(({ unreadable: { rule, what, reason } }) =>
        `${rule.id} ${what}: ${reason}`
      );
    const findings = events.filter(({ type }) => type === "finding")
      .map(({ finding: { rule, what, summary } }) =>
        `${rule.id} ${what}: ${summary}`
      );
    return { code, findings, unreadable };
  };
  try {
    const changed = await toldWith(".text", 10);
    assertEquals(changed.code, 1);
    assertEquals(changed.findings, [
      "XK-014 module loop: kernel code was changed",
    ]);
    assert(
      changed.unreadable.includes(
        `XK-014 module xfs: ${directory} has no file of it: its first reading is trusted`,
      ),
    );
    const other = await toldWith(".note.gnu.build-id", 20);
    assertEquals([other.code, other.findings], [2, []]);
    assert(
      other.unreadable.includes(
        `XK-014 module loop: it was not loaded from the file in ${directory}: its first reading is trusted`,
      ),
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
