import { apt } from "./apt.ts";
import { cached } from "./cached.ts";
import { contentKey } from "./content_key.ts";
import { hostCommand } from "./host_command.ts";

/**
 * Bochs 3.0, which is more than twice as fast as the host's own 2.7, and can
 * have a guest run step by step.
 */
const SUITE = "trixie";

const OPTIONS = [
  "--with-nogui",
  "--enable-x86-64",
  "--enable-cpu-level=6",
  // The second generation, with EPT
  "--enable-vmx=2",
  "--enable-avx",
  "--enable-evex",
  "--enable-all-optimizations",
  "--enable-handlers-chaining",
  "--enable-pci",
  "--enable-e1000",
  "--enable-cdrom",
  "--enable-monitor-mwait",
  "--enable-memtype",
  "--enable-protection-keys",
  "--enable-a20-pin",
  "--enable-fpu",
  "--disable-idle-hack",
  "--disable-plugins",
  "--disable-debugger",
  "--disable-docbook",
  "--disable-smp",
  // What shows the speed waits for itself in a signal's handler, for ever.
  "--disable-show-ips",
];

const COMPILER_OPTIONS = "-O2";

/**
 * An interrupt of the host that comes while a guest has interrupts off has Bochs
 * deliver one to the guest, if it has one that waits. A Linux guest then takes a
 * lock for a second time that it holds, and stands still.
 */
const MEND = {
  file: "cpu/event.cc",
  from: "if (is_pending(BX_EVENT_PENDING_VMX_VIRTUAL_INTR))",
  to: "if (is_unmasked_event_pending(BX_EVENT_PENDING_VMX_VIRTUAL_INTR))",
};

/** @throws {Error} If the sources have no such place, or several */
async function mend(source: string): Promise<void> {
  const path = `${source}/${MEND.file}`;
  const parts = (await Deno.readTextFile(path)).split(MEND.from);
  if (parts.length !== 2) throw new Error(`${MEND.file} is another one`);
  await Deno.writeTextFile(path, parts.join(MEND.to));
}

/**
 * Builds Bochs from Debian's sources, or takes it from the cache. Returns the
 * path of the program.
 */
export async function buildBochs(): Promise<string> {
  const key = await contentKey([
    ...[SUITE, COMPILER_OPTIONS, ...OPTIONS],
    ...Object.values(MEND),
  ]);
  const directory = await cached(`bochs-${key}`, async (path) => {
    const source = `${path}/source`;
    await Deno.mkdir(source, { recursive: true });
    // What Debian changes is the documentation, and the BIOS, which is fetched.
    await apt(
      ["apt-get", "source", "--download-only", "--tar-only", "bochs"],
      { suite: SUITE, kind: "deb-src", cwd: path },
    );
    for await (const { name, isFile } of Deno.readDir(path)) {
      if (!isFile) continue;
      await hostCommand([
        "tar",
        ...["-xf", `${path}/${name}`],
        ...["-C", source, "--strip-components=1"],
      ]);
      await Deno.remove(`${path}/${name}`);
    }
    await mend(source);
    const flags = ["CFLAGS", "CXXFLAGS"].map((name) =>
      `${name}=${COMPILER_OPTIONS}`
    );
    const cwd = source;
    await hostCommand(["./configure", ...OPTIONS, ...flags], { cwd });
    await hostCommand(
      ["make", `-j${navigator.hardwareConcurrency}`, "bochs"],
      { cwd, timeoutMs: 1800_000 },
    );
    await Deno.rename(`${source}/bochs`, `${path}/bochs`);
    await Deno.remove(source, { recursive: true });
  });
  return `${directory}/bochs`;
}
