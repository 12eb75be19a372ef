import { cached } from "../lab/cached.ts";
import { contentKey } from "../lab/content_key.ts";
import { fetchPackages } from "../lab/fetch_packages.ts";
import { hostCommand } from "../lab/host_command.ts";
import type { Kernel } from "../lab/mod.ts";

const SOURCE = new URL("inside.c", import.meta.url);

/** What makes code of the kernel's kind; the same for all of its versions. */
const OPTIONS = [
  ...["-c", "-std=gnu11", "-O2", "-Wall", "-nostdinc"],
  ...["-D__KERNEL__", "-DMODULE", "-D__NO_FORTIFY"],
  ...["MODNAME", "BASENAME", "MODFILE"].map((name) =>
    `-DKBUILD_${name}="inside"`
  ),
  "-D__KBUILD_MODNAME=inside",
  ...[
    "-m64",
    "-mcmodel=kernel",
    "-mno-red-zone",
    "-mpreferred-stack-boundary=3",
  ],
  ...["-mno-sse", "-mno-sse2", "-mno-mmx", "-mno-avx", "-mno-80387"],
  ...["-fno-PIE", "-fno-common", "-fno-strict-aliasing", "-fshort-wchar"],
  ...["-fno-stack-protector", "-fno-asynchronous-unwind-tables"],
  ...["-fno-delete-null-pointer-checks", "-fcf-protection=branch"],
];

/** Where headers are, below the common ones and those of one architecture. */
const INCLUDES = [
  ["common", "arch/x86/include"],
  ["amd64", "arch/x86/include/generated"],
  ["common", "include"],
  ["amd64", "include"],
  ["common", "arch/x86/include/uapi"],
  ["amd64", "arch/x86/include/generated/uapi"],
  ["common", "include/uapi"],
  ["amd64", "include/generated/uapi"],
] as const;

const FIRST_INCLUDES = ["compiler-version", "kconfig", "compiler_types"];

/**
 * Builds the module by which a kernel of Debian attacks itself, with the headers
 * of Debian's packages and without the kernel's own way to build: that wants
 * its version of the compiler.
 *
 * @returns its path.
 */
export async function buildInside(
  { release }: Kernel,
  suite: string,
): Promise<string> {
  const part = (name: string) =>
    `linux-headers-${release.replace(/amd64$/, name)}`;
  const packages = await fetchPackages(
    "headers",
    [part("amd64"), part("common")],
    suite,
  );
  const folder = (name: string) => `${packages}/usr/src/${part(name)}`;
  const key = await contentKey([
    packages,
    await Deno.readFile(SOURCE),
    ...OPTIONS,
  ]);
  return await cached(`inside-${key}.ko`, async (path) => {
    await hostCommand([
      "gcc",
      ...OPTIONS,
      ...INCLUDES.map(([name, below]) => `-I${folder(name)}/${below}`),
      ...FIRST_INCLUDES.flatMap((name) => [
        "-include",
        `${folder("common")}/include/linux/${name}.h`,
      ]),
      ...["-o", path, SOURCE.pathname],
    ]);
  });
}
