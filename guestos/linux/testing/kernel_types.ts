import type { BtfImage, BtfMember } from "./btf_image.ts";

/** How a kernel's structures differ from version to version. */
export interface KernelTypesOptions {
  /** Up to 6.3 a module has layouts, later ones an array */
  readonly modules?: "layouts" | "mem";
  /** Whether BPF programs share pages: from 5.18 on */
  readonly packs?: boolean;
}

/** Offsets of the members that the tests write, bytes. */
export const offsets = {
  module: {
    state: 0,
    list: 8,
    name: 24,
    jump_entries: 80,
    num_jump_entries: 88,
    num_static_call_sites: 92,
    static_call_sites: 96,
    ftrace_callsites: 104,
    num_ftrace_callsites: 112,
    // Layouts: base, size, text_size; or 7 of base, size
    core: 120,
    init: 136,
    mem: 120,
  },
  bpf_ksym: { start: 0, end: 8, name: 16, lnode: 72 },
  bpf_prog_pack: { list: 0, ptr: 16, bitmap: 24 },
  ftrace_ops: {
    func: 0,
    next: 8,
    trampoline: 16,
    trampoline_size: 24,
    func_hash: 32,
    list: 40,
  },
  ftrace_ops_hash: { notrace_hash: 0, filter_hash: 8 },
  ftrace_hash: { size_bits: 0, buckets: 8, count: 16 },
  ftrace_func_entry: { ip: 16 },
  kprobe: { hlist: 0, list: 16, addr: 32, pre_handler: 40, flags: 48 },
  optimized_kprobe: { insn: 64 },
  kprobe_insn_cache: { pages: 8 },
  kprobe_insn_page: { list: 0, insns: 16 },
} as const;

/** Describes the structures that a kernel's lists are made of. */
export function kernelTypes(
  image: BtfImage,
  { modules = "layouts", packs = true }: KernelTypesOptions = {},
): void {
  const u32 = image.int("unsigned int", 4);
  const u64 = image.int("unsigned long", 8);
  const char = image.int("char", 1);
  const list = image.struct("list_head", 16, [
    { name: "next", type: u64, bit: 0 },
    { name: "prev", type: u64, bit: 64 },
  ]);
  const name = image.array(char, 56);
  const member = (name: string, type: number, offset: number): BtfMember => ({
    name,
    type,
    bit: 8 * offset,
  });
  const members = (
    at: Readonly<Record<string, number>>,
    kinds: Readonly<Record<string, number>>,
  ) =>
    Object.entries(kinds).map(([name, type]) => member(name, type, at[name]!));

  const layout = image.struct("module_layout", 16, [
    member("base", u64, 0),
    member("size", u32, 8),
    member("text_size", u32, 12),
  ]);
  const memory = modules === "mem"
    ? image.struct("module_memory", 16, [
      member("base", u64, 0),
      member("size", u32, 8),
    ])
    : 0;
  image.struct("module", 256, [
    ...members(offsets.module, {
      state: u32,
      list,
      name,
      jump_entries: u64,
      num_jump_entries: u32,
      static_call_sites: u64,
      num_static_call_sites: u32,
      ftrace_callsites: u64,
      num_ftrace_callsites: u32,
    }),
    ...modules === "mem"
      ? [member("mem", image.array(memory, 7), offsets.module.mem)]
      : [
        member("core_layout", layout, offsets.module.core),
        member("init_layout", layout, offsets.module.init),
      ],
  ]);
  image.struct(
    "bpf_ksym",
    88,
    members(offsets.bpf_ksym, { start: u64, end: u64, name, lnode: list }),
  );
  if (packs) {
    image.struct(
      "bpf_prog_pack",
      24,
      members(offsets.bpf_prog_pack, {
        list,
        ptr: u64,
        bitmap: image.array(u64, 0),
      }),
    );
  }
  image.struct(
    "ftrace_ops",
    56,
    members(offsets.ftrace_ops, {
      func: u64,
      next: u64,
      trampoline: u64,
      trampoline_size: u64,
      func_hash: u64,
      list,
    }),
  );
  image.struct(
    "ftrace_ops_hash",
    16,
    members(offsets.ftrace_ops_hash, { notrace_hash: u64, filter_hash: u64 }),
  );
  image.struct(
    "ftrace_hash",
    24,
    members(offsets.ftrace_hash, { size_bits: u64, buckets: u64, count: u64 }),
  );
  image.struct("ftrace_func_entry", 24, [member("ip", u64, 16)]);
  const kprobe = image.struct(
    "kprobe",
    56,
    members(offsets.kprobe, {
      hlist: list,
      list,
      addr: u64,
      pre_handler: u64,
      flags: u32,
    }),
  );
  const optinsn = image.struct("arch_optimized_insn", 16, [
    member("insn", u64, 8),
  ]);
  image.struct("optimized_kprobe", 72, [
    member("kp", kprobe, 0),
    member("optinsn", optinsn, 56),
  ]);
  image.struct("kprobe_insn_cache", 24, [
    member("pages", list, offsets.kprobe_insn_cache.pages),
  ]);
  image.struct(
    "kprobe_insn_page",
    24,
    members(offsets.kprobe_insn_page, { list, insns: u64 }),
  );
}
