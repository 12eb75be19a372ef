import { assert, assertEquals, assertMatch } from "@std/assert";
import { checkCore } from "./linux/check_core.ts";
import { type LinuxBoot, linuxCore } from "./linux/linux_core.ts";
import { tamperCore } from "./linux/tamper_core.ts";
import { buildXkmon } from "./support/build_xkmon.ts";

const FLIPS = 500;

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

const BOOTS: readonly LinuxBoot[] = ["pv", "pvh", "kaslr", "intel"];
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
