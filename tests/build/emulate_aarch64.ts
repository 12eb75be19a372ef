import { type Output, outputOf } from "./output_of.ts";
import { readParts } from "./read_parts.ts";

const EMULATOR = "/usr/bin/qemu-aarch64-static";
/** The dynamic loader and the C library, from Debian's cross packages. */
const LIBRARIES = "/usr/aarch64-linux-gnu";

/**
 * The launcher hands its process to a second aarch64 program, which the kernel
 * has to give to the emulator again. Since Linux 6.7 a user namespace has a
 * binfmt_misc of its own, so this can be had without a trace on the machine.
 */
const WITH_PRIVATE_BINFMT = `
mount -t binfmt_misc none /proc/sys/fs/binfmt_misc 2>/dev/null || exit 77
magic='\\x7fELF\\x02\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x02\\x00\\xb7\\x00'
mask='\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\x00\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xfe\\xff\\xff\\xff'
printf '%s' ":aarch64:M::$magic:$mask:${EMULATOR}:OCF" \\
  > /proc/sys/fs/binfmt_misc/register || exit 77
exec ${EMULATOR} "$@"
`;

/**
 * Runs an aarch64 executable made with the method "bundle" under user-mode
 * emulation, or as it is where the host is aarch64.
 *
 * Where the kernel gives no private binfmt_misc, the launcher is run up to the
 * point where it has checked everything and starts the runtime, which the kernel
 * then refuses; and the runtime is taken out of the file and run with the options
 * and the script that stand beside it.
 *
 * @throws {Error} If the launcher stopped at any other point.
 */
export async function emulateAarch64(
  file: string,
  args: string[],
): Promise<Output> {
  if (Deno.build.arch === "aarch64") return await outputOf([file, ...args]);
  await install();
  const env = { QEMU_LD_PREFIX: LIBRARIES };
  const whole = await outputOf([
    ...["unshare", "--user", "--map-root-user", "--mount"],
    ...["sh", "-c", WITH_PRIVATE_BINFMT, "sh", file, ...args],
  ], { env });
  const unsupported = whole.code === 77 || whole.stderr.startsWith("unshare:");
  if (!unsupported) return whole;

  const launcher = await outputOf([EMULATOR, file, ...args], { env });
  if (launcher.code === 0) return launcher; // the machine has its own binfmt_misc
  if (!launcher.stderr.includes("Exec format error")) {
    throw new Error(`the launcher stopped: ${launcher.stderr}`);
  }
  const directory = await Deno.makeTempDir();
  try {
    const data = await Deno.readFile(file);
    const parts = readParts(data);
    const cut = ({ offset, size }: { offset: number; size: number }) =>
      data.subarray(offset, offset + size);
    const runtime = `${directory}/runtime`;
    const script = `${directory}/script`;
    await Deno.writeFile(runtime, cut(parts.runtime), { mode: 0o755 });
    await Deno.writeFile(script, cut(parts.script));
    const options = new TextDecoder().decode(cut(parts.options))
      .split("\0").filter(Boolean);
    return await outputOf([EMULATOR, runtime, ...options, script, ...args], {
      env: { ...env, DENO_DIR: "/dev/null/xkmon" },
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

async function install(): Promise<void> {
  const needed = [
    EMULATOR,
    `${LIBRARIES}/lib/libc.so.6`,
    `${LIBRARIES}/lib/libgcc_s.so.1`,
  ];
  const found = await Promise.all(
    needed.map((path) => Deno.stat(path).then(() => true, () => false)),
  );
  if (!found.includes(false)) return;
  const script = `apt-get -qq update &&
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
      -o DPkg::Lock::Timeout=300 qemu-user-static libc6-arm64-cross libgcc-s1-arm64-cross`;
  const { code, stderr } = await outputOf(["sh", "-c", script], {
    limit: 300_000,
  });
  if (code !== 0) throw new Error(`cannot install the emulator: ${stderr}`);
}
