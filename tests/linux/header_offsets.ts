import { fetchPackages } from "../lab/fetch_packages.ts";
import { LINUX_KERNELS, type LinuxVersion } from "../lab/linux_kernels.ts";

/** Structures whose offsets are compared, with some of their members. */
export const SAMPLE: Readonly<Record<string, readonly string[]>> = {
  task_struct: ["tasks", "pid", "tgid", "comm", "mm", "real_cred", "cred"],
  module: ["state", "list", "name", "kallsyms", "num_jump_entries"],
  mod_kallsyms: ["symtab", "num_symtab", "strtab"],
  ftrace_ops: ["func", "next", "flags", "func_hash", "trampoline", "list"],
  ftrace_ops_hash: ["filter_hash"],
  kprobe: ["hlist", "list", "addr", "pre_handler", "ainsn", "flags"],
  optimized_kprobe: ["kp", "list", "optinsn"],
  bpf_ksym: ["start", "end", "name", "lnode"],
  bpf_prog: ["pages", "jited_len", "aux", "bpf_func"],
  cpuinfo_x86: ["x86", "x86_model", "x86_capability", "x86_vendor_id"],
  alt_instr: ["instr_offset", "repl_offset", "instrlen"],
  static_key: ["enabled"],
  static_call_key: ["func"],
  jump_entry: ["code", "target", "key"],
  mm_struct: ["pgd", "mm_users", "start_code"],
  cred: ["uid", "gid", "cap_effective"],
  file: ["f_op", "private_data"],
  inode: ["i_op", "i_sb", "i_fop"],
  super_block: ["s_op", "s_flags"],
  mutex: ["owner"],
};

const INCLUDES = [
  "linux/sched.h",
  "linux/mm_types.h",
  "linux/module.h",
  "linux/ftrace.h",
  "linux/kprobes.h",
  "linux/filter.h",
  "linux/bpf.h",
  "linux/cred.h",
  "linux/fs.h",
  "linux/jump_label.h",
  "linux/static_call.h",
  "asm/alternative.h",
  "asm/processor.h",
];

/** A number that the compiler leaves in its output. */
const MARK = /offset:(\w+):(\w*):\$(\d+)/g;

/**
 * What a kernel's own headers say of its structures, by `structure` (bytes)
 * and `structure.member` (offset in bytes): the compiler is asked.
 */
export async function headerOffsets(
  version: LinuxVersion,
  release: string,
): Promise<Map<string, number>> {
  const common = release.replace(/-amd64$/, "-common");
  const root = await fetchPackages("headers", [
    `linux-headers-${release}`,
    `linux-headers-${common}`,
  ], LINUX_KERNELS[version].suite);
  const own = `${root}/usr/src/linux-headers-${release}`;
  const shared = `${root}/usr/src/linux-headers-${common}`;
  const source = await Deno.makeTempFile({ suffix: ".c" });
  try {
    await Deno.writeTextFile(source, program());
    const assembly = await compile(source, own, shared);
    return new Map(
      Array.from(assembly.matchAll(MARK), ([, structure, member, value]) => [
        member === "" ? structure! : `${structure}.${member}`,
        Number(value),
      ]),
    );
  } finally {
    await Deno.remove(source);
  }
}

function program(): string {
  const mark = (structure: string, member: string, value: string) =>
    `asm volatile("# offset:${structure}:${member}:%0" : : "i" (${value}));`;
  return [
    ...INCLUDES.map((name) => `#include <${name}>`),
    "void offsets(void);",
    "void offsets(void)",
    "{",
    ...Object.entries(SAMPLE).flatMap(([structure, members]) => [
      mark(structure, "", `sizeof(struct ${structure})`),
      ...members.map((member) =>
        mark(structure, member, `offsetof(struct ${structure}, ${member})`)
      ),
    ]),
    "}",
  ].join("\n");
}

async function compile(
  source: string,
  own: string,
  shared: string,
): Promise<string> {
  const folders = [
    `${shared}/arch/x86/include`,
    `${own}/arch/x86/include/generated`,
    `${shared}/include`,
    `${own}/include`,
    `${shared}/arch/x86/include/uapi`,
    `${own}/arch/x86/include/generated/uapi`,
    `${shared}/include/uapi`,
    `${own}/include/generated/uapi`,
  ];
  const { success, stdout, stderr } = await new Deno.Command("gcc", {
    args: [
      ...["-S", "-o", "-", "-O2", "-std=gnu11", "-w", "-nostdinc"],
      ...["-isystem", `${await compilerFolder()}/include`],
      ...["-mcmodel=kernel", "-mno-sse", "-ffreestanding", "-fms-extensions"],
      ...["-fno-pie", "-fshort-wchar", "-fno-strict-aliasing"],
      // A kernel's compiler, not the host's, chose what its headers may use
      ...["-D__KERNEL__", "-DCC_USING_FENTRY", "-DMODULE"],
      ...['-DKBUILD_MODNAME="offsets"'],
      ...["-D__counted_by(x)=", "-D__counted_by_ptr(x)="],
      ...folders.flatMap((folder) => ["-I", folder]),
      ...["-include", `${shared}/include/linux/compiler-version.h`],
      ...["-include", `${shared}/include/linux/kconfig.h`],
      ...["-include", `${shared}/include/linux/compiler_types.h`],
      source,
    ].filter((argument, index, all) =>
      // 5.10 has no such file
      !(argument === "-include" && !exists(all[index + 1]!)) &&
      !(all[index - 1] === "-include" && !exists(argument))
    ),
  }).output();
  if (!success) {
    throw new Error(new TextDecoder().decode(stderr).slice(0, 4000));
  }
  return new TextDecoder().decode(stdout);
}

/** Where the compiler keeps headers of its own. */
async function compilerFolder(): Promise<string> {
  const { stdout } = await new Deno.Command("gcc", {
    args: ["-print-file-name="],
  }).output();
  return new TextDecoder().decode(stdout).trim().replace(/\/$/, "");
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
