import { type Output, outputOf } from "./output_of.ts";

const EMULATOR = "/usr/bin/qemu-aarch64-static";
/** The dynamic loader and the C library, from Debian's cross packages. */
const LIBRARIES = "/usr/aarch64-linux-gnu";

/**
 * Runs an aarch64 executable made with the method "bundle" under user-mode
 * emulation, or as it is where the host is aarch64.
 */
export async function emulateAarch64(
  file: string,
  args: string[],
): Promise<Output> {
  if (Deno.build.arch === "aarch64") return await outputOf([file, ...args]);
  await install();
  return await outputOf([EMULATOR, file, ...args], {
    env: { QEMU_LD_PREFIX: LIBRARIES },
  });
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
