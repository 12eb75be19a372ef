import { busybox } from "./busybox.ts";
import { cached } from "./cached.ts";
import { contentKey } from "./content_key.ts";
import {
  type CpioEntry,
  directory,
  file,
  link,
  program,
} from "./cpio_entry.ts";
import type { Kernel } from "./fetch_kernel.ts";
import { hostCommand } from "./host_command.ts";
import { kernelModules } from "./kernel_modules.ts";
import { findLibrary, sharedLibraries } from "./shared_libraries.ts";
import { writeCpio } from "./write_cpio.ts";
import type { XenRelease } from "./xen_release.ts";

/** Xen's programs that Dom0 gets. */
const XEN_PROGRAMS = [
  "libxl-save-helper",
  "xen-init-dom0",
  "xenconsole",
  "xenconsoled",
  "xenctx",
  "xenstored",
  "xl",
];

/** Those that not every release has. */
const MORE_XEN_PROGRAMS = ["xen-access"];

const XENSTORE_PROGRAMS = [
  "chmod",
  "exists",
  "list",
  "ls",
  "read",
  "rm",
  "watch",
  "write",
];

/** Modules that Xen's programs need. */
const XEN_MODULES = [
  "xen-privcmd",
  "xen-evtchn",
  "xen-gntdev",
  "xen-gntalloc",
  "xenfs",
];

/** Libraries that a program under test may load, besides all of Xen's. */
const LIBRARIES = [
  "ld-linux-x86-64.so.2",
  "libc.so.6",
  "libdl.so.2",
  "libgcc_s.so.1",
  "libm.so.6",
  "libpthread.so.0",
  "librt.so.1",
];

const DIRECTORIES = [
  "dev",
  "etc",
  "etc/xen",
  "proc",
  "root",
  "run",
  "run/lock",
  "run/xen",
  "run/xenstored",
  "share",
  "sys",
  "tmp",
  "usr",
  "usr/bin",
  "usr/lib",
  "usr/lib/modules",
  "usr/lib/x86_64-linux-gnu",
  "usr/lib64",
  "usr/sbin",
  "var",
  "var/lib",
  "var/lib/xen",
  "var/lib/xenstored",
  "var/log",
];

const LINKS: Record<string, string> = {
  "bin": "usr/bin",
  "lib": "usr/lib",
  "lib64": "usr/lib64",
  "sbin": "usr/sbin",
  "var/lock": "/run/lock",
  // The logs outlive Dom0.
  "var/log/xen": "/share/log",
  "var/run": "/run",
};

const FILES: Record<string, string> = {
  "etc/group": "root:x:0:\n",
  "etc/hosts": "127.0.0.1 localhost dom0\n",
  "etc/passwd": "root:x:0:0:root:/root:/bin/sh\n",
  "etc/xen/xl.conf": 'autoballoon="off"\nrun_hotplug_scripts=0\n',
};

/** What is in a {@linkcode dom0Image}. */
export interface Dom0ImageContents {
  /** The release of Xen. */
  release: XenRelease;
  /** Directory of its unpacked packages. */
  packages: string;
  /** Dom0's kernel. */
  kernel: Kernel;
  /** Modules that the emulated machine needs. */
  machineModules: readonly string[];
  /** Commands for Dom0's shell that mount the host's share at `/share`. */
  mountShare: string;
}

/** Builds Dom0's initramfs, or takes it from the cache. Returns its path. */
export async function dom0Image(contents: Dom0ImageContents): Promise<string> {
  const sources = [
    "agent.c",
    "busybox.ts",
    "dom0_image.ts",
    "init.sh",
    "kernel_modules.ts",
    "shared_libraries.ts",
    "write_cpio.ts",
  ];
  const key = await contentKey([
    JSON.stringify(contents),
    ...await Promise.all(
      sources.map((name) => Deno.readFile(new URL(name, import.meta.url))),
    ),
  ]);
  return await cached(`dom0-${key}.cpio`, async (path) => {
    const agent = `${path}.agent`;
    await hostCommand([
      "gcc",
      ...["-Wall", "-Wextra", "-O2", "-static", "-o", agent],
      new URL("agent.c", import.meta.url).pathname,
    ]);
    await writeCpio(path, await dom0Files(contents, agent));
    await Deno.remove(agent);
  });
}

async function dom0Files(
  { release, packages, kernel, machineModules, mountShare }: Dom0ImageContents,
  agent: string,
): Promise<CpioEntry[]> {
  const entries: CpioEntry[] = [
    ...DIRECTORIES.map(directory),
    ...Object.entries(LINKS).map(([path, target]) => link(path, target)),
    ...Object.entries(FILES).map(([path, text]) => file(path, text)),
  ];

  const programs = new Map<string, string>();
  const available = new Set(
    (await Array.fromAsync(Deno.readDir(`${packages}/${release.programs}`)))
      .map(({ name }) => name),
  );
  const more = MORE_XEN_PROGRAMS.filter((name) => available.has(name));
  for (const name of [...XEN_PROGRAMS, ...more]) {
    programs.set(
      `${release.programs}/${name}`,
      `${packages}/${release.programs}/${name}`,
    );
    entries.push(link(`usr/sbin/${name}`, `/${release.programs}/${name}`));
  }
  for (const name of XENSTORE_PROGRAMS.map((verb) => `xenstore-${verb}`)) {
    programs.set(`usr/bin/${name}`, `${packages}/usr/bin/${name}`);
  }
  entries.push(
    ...parents(release.programs),
    ...await Promise.all(
      [...programs].map(([path, source]) => program(path, source)),
    ),
  );

  for (const [path, source] of await libraries(packages, programs.values())) {
    entries.push(await program(path, source));
  }

  entries.push(
    ...await busybox(packages),
    await program("usr/sbin/agent", agent),
    await program("init", new URL("init.sh", import.meta.url)),
    file("etc/mount-share", `${mountShare}\n`),
  );

  const modules = await kernelModules(kernel.modules, [
    ...XEN_MODULES,
    ...machineModules,
  ]);
  const names = modules.map(({ name }) => `${name}.ko`);
  entries.push(
    file(
      "usr/lib/modules/load",
      names.map((name) => `${name}\n`).join(""),
    ),
    ...modules.map(({ name, data }) =>
      file(`usr/lib/modules/${name}.ko`, data)
    ),
  );
  return entries;
}

async function libraries(
  packages: string,
  programs: Iterable<string>,
): Promise<Map<string, string>> {
  const source = `${packages}/usr/lib/x86_64-linux-gnu`;
  const xen = (await Array.fromAsync(Deno.readDir(source)))
    .map(({ name }) => name)
    .filter((name) => /^libxen.*\.so\.[0-9]+(\.[0-9]+)?$/.test(name));
  const found = await sharedLibraries(packages, [
    ...programs,
    ...xen.map((name) => `${source}/${name}`),
  ]);
  for (const name of xen) found.set(name, `${source}/${name}`);
  for (const name of LIBRARIES) {
    found.set(name, await findLibrary(packages, name));
  }
  return new Map(
    [...found].map(([name, path]) => [
      name.startsWith("ld-linux")
        ? `usr/lib64/${name}`
        : `usr/lib/x86_64-linux-gnu/${name}`,
      path,
    ]),
  );
}

/** The directories that lead to `path`, below `usr/lib`, and itself. */
function parents(path: string): CpioEntry[] {
  const names = path.split("/");
  return names.slice(2).map((_, i) =>
    directory(names.slice(0, i + 3).join("/"))
  );
}
