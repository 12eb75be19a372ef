import type { LinuxImage } from "../linux_image.ts";
import { BASE, ImageBuilder } from "./image_builder.ts";
import { KernelBytes } from "./kernel_bytes.ts";
import {
  kernelTypes,
  type KernelTypesOptions,
  offsets,
} from "./kernel_types.ts";

/** Where the tests' kernel has what: offsets from `_text` */
export const places = {
  /** A function at each multiple of 0x100 */
  end: 0x2000,
  rodata: 0x3000,
  data: 0x6000,
  modules: 0x6000,
  programs: 0x6010,
  packs: 0x6020,
  hooks: 0x6030,
  noHook: 0x6040,
  trampolines: 0x6048,
  slots: 0x6060,
  optimizedSlots: 0x6080,
  realModeHeader: 0x60a0,
  realModeBlob: 0x7000,
  realModeBlobEnd: 0x8800,
  nodes: 0x6100,
  probes: 0x6200,
} as const;

/** Where the structures are that lists lead to */
const HEAP = 0xffff_8880_0010_0000n;

const encoder = new TextEncoder();

/** A hook to be. */
export interface HookOptions {
  readonly function: bigint;
  readonly trampoline?: { readonly start: bigint; readonly size: number };
  /** Those that it hooks; all if left out */
  readonly functions?: readonly bigint[];
}

/** A probe to be. */
export interface ProbeOptions {
  readonly address: bigint;
  readonly handler: bigint;
  /** Where its jump leads, if it is optimized */
  readonly detour?: bigint;
}

/**
 * A kernel for the tests with its lists of code and hooks, all empty, in
 * memory. A method adds what a kernel would add.
 */
export class SyntheticKernel {
  readonly image: LinuxImage;
  readonly memory = new KernelBytes();
  readonly base = BASE;
  #heap = HEAP;

  /**
   * @param types How its structures are
   * @param prepare Adds what a test needs to the image
   */
  constructor(
    types: KernelTypesOptions = {},
    prepare: (builder: ImageBuilder) => void = () => {},
  ) {
    const builder = new ImageBuilder();
    kernelTypes(builder.types, types);
    builder.symbol("_text", 0).symbol("_etext", places.end);
    for (let at = 0; at < places.end; at += 0x100) {
      builder.symbol(`function_${at.toString(16)}`, at, "t");
    }
    builder.data({
      modules: places.modules,
      bpf_kallsyms: places.programs,
      ftrace_ops_list: places.hooks,
      ftrace_list_end: places.noHook,
      ftrace_ops_trampoline_list: places.trampolines,
      kprobe_insn_slots: places.slots,
      kprobe_optinsn_slots: places.optimizedSlots,
      real_mode_header: places.realModeHeader,
      real_mode_blob: places.realModeBlob,
      real_mode_blob_end: places.realModeBlobEnd,
      node_states: places.nodes,
      kprobe_table: places.probes,
    });
    if (types.packs ?? true) builder.data({ pack_list: places.packs });
    prepare(builder);
    this.image = builder.build();
    const { memory } = this;
    memory.write(this.base, this.image.bytes);
    for (
      const head of [
        places.modules,
        places.programs,
        places.packs,
        places.trampolines,
        places.slots + offsets.kprobe_insn_cache.pages,
        places.optimizedSlots + offsets.kprobe_insn_cache.pages,
      ]
    ) {
      memory.u64(this.at(head), this.at(head));
      memory.u64(this.at(head) + 8n, this.at(head));
    }
    memory.u64(this.at(places.hooks), this.at(places.noHook));
    memory.u64(this.at(places.nodes), 1n);
  }

  /** Address of an offset. */
  at(offset: number): bigint {
    return this.base + BigInt(offset);
  }

  /** Room for a structure. */
  allocate(size: number): bigint {
    const address = this.#heap;
    this.#heap += BigInt(Math.ceil(size / 64) * 64);
    this.memory.write(address, new Uint8Array(size));
    return address;
  }

  /** Puts an entry at the end of a list. */
  link(head: bigint, entry: bigint): void {
    const { memory } = this;
    let last = head;
    for (;;) {
      const next = new DataView(memory.read(last, 8).buffer)
        .getBigUint64(0, true);
      if (next === head) break;
      last = next;
    }
    memory.u64(last, entry);
    memory.u64(entry, head);
  }

  /** Loads a module; returns its address. */
  addModule(
    name: string,
    text: { start: bigint; size: number },
    { init, state = 0 }: {
      init?: { start: bigint; size: number };
      state?: number;
    } = {},
  ): bigint {
    const { memory } = this;
    const { module } = offsets;
    const address = this.allocate(256);
    memory.u32(address, state);
    memory.write(address + BigInt(module.name), encoder.encode(name));
    const hasArray = this.image.btf.member("module", "mem") !== undefined;
    const layout = (at: number, { start, size }: typeof text) => {
      memory.u64(address + BigInt(at), start);
      memory.u32(address + BigInt(at + 8), hasArray ? size : 4 * size);
      if (!hasArray) memory.u32(address + BigInt(at + 12), size);
    };
    layout(hasArray ? module.mem : module.core, text);
    if (init !== undefined) {
      layout(hasArray ? module.mem + 4 * 16 : module.init, init);
    }
    this.link(this.at(places.modules), address + BigInt(module.list));
    return address;
  }

  /** Adds a BPF program; returns the address of its symbol. */
  addProgram(name: string, start: bigint, end: bigint): bigint {
    const { memory } = this;
    const { bpf_ksym } = offsets;
    const address = this.allocate(88);
    memory.u64(address, start);
    memory.u64(address + 8n, end);
    memory.write(address + BigInt(bpf_ksym.name), encoder.encode(name));
    this.link(this.at(places.programs), address + BigInt(bpf_ksym.lnode));
    return address;
  }

  /** Adds a pack with chunks in use, by number; returns its address. */
  addPack(start: bigint, chunks: readonly number[], nodes = 1): bigint {
    const { memory } = this;
    const bitmap = new Uint8Array(nodes * 4096);
    for (const chunk of chunks) bitmap[chunk >> 3]! |= 1 << (chunk & 7);
    const address = this.allocate(24 + bitmap.length);
    memory.u64(address + 16n, start);
    memory.write(address + 24n, bitmap);
    this.link(this.at(places.packs), address);
    return address;
  }

  /** A hook that is on no list. */
  makeHook(
    { function: called, trampoline, functions }: HookOptions,
  ): bigint {
    const { memory } = this;
    const { ftrace_ops } = offsets;
    const address = this.allocate(56);
    memory.u64(address, called);
    if (trampoline !== undefined) {
      memory.u64(address + BigInt(ftrace_ops.trampoline), trampoline.start);
      memory.u64(
        address + BigInt(ftrace_ops.trampoline_size),
        BigInt(trampoline.size),
      );
    }
    if (functions !== undefined) {
      const hashes = this.allocate(16);
      const hash = this.allocate(24);
      const buckets = this.allocate(4 * 8);
      memory.u64(address + BigInt(ftrace_ops.func_hash), hashes);
      memory.u64(hashes + 8n, hash);
      memory.u64(hash, 2n);
      memory.u64(hash + 8n, buckets);
      memory.u64(hash + 16n, BigInt(functions.length));
      for (const [index, ip] of functions.entries()) {
        const bucket = buckets + BigInt(8 * (index % 4));
        const entry = this.allocate(24);
        memory.write(entry, memory.read(bucket, 8));
        memory.u64(entry + 16n, ip);
        memory.u64(bucket, entry);
      }
    }
    return address;
  }

  /** Adds a hook that is called; returns its address. */
  addHook(options: HookOptions): bigint {
    const { memory } = this;
    const hook = this.makeHook(options);
    const list = this.at(places.hooks);
    memory.write(
      hook + BigInt(offsets.ftrace_ops.next),
      memory.read(list, 8),
    );
    memory.u64(list, hook);
    return hook;
  }

  /** Takes all hooks off the list. */
  removeHooks(): void {
    this.memory.u64(this.at(places.hooks), this.at(places.noHook));
  }

  /** Adds a hook whose trampoline is not freed yet; returns its address. */
  addTrampoline(options: HookOptions): bigint {
    const hook = this.makeHook(options);
    this.link(
      this.at(places.trampolines),
      hook + BigInt(offsets.ftrace_ops.list),
    );
    return hook;
  }

  /** A probe that is in no bucket. */
  makeProbe({ address, handler, detour }: ProbeOptions): bigint {
    const { memory } = this;
    const { kprobe, optimized_kprobe } = offsets;
    const probe = this.allocate(72);
    const list = probe + BigInt(kprobe.list);
    memory.u64(list, list);
    memory.u64(probe + BigInt(kprobe.addr), address);
    memory.u64(probe + BigInt(kprobe.pre_handler), handler);
    if (detour !== undefined) {
      memory.u32(probe + BigInt(kprobe.flags), 4);
      memory.u64(probe + BigInt(optimized_kprobe.insn), detour);
    }
    return probe;
  }

  /** Adds a probe in a bucket; returns its address. */
  addProbe(options: ProbeOptions, bucket = 5): bigint {
    const { memory } = this;
    const probe = this.makeProbe(options);
    const head = this.at(places.probes) + BigInt(8 * bucket);
    memory.write(probe, memory.read(head, 8));
    memory.u64(head, probe);
    return probe;
  }

  /** Takes all probes out. */
  removeProbes(): void {
    this.memory.write(this.at(places.probes), new Uint8Array(64 * 8));
  }

  /** Adds a page of slots. */
  addSlots(start: bigint, cache: number = places.slots): bigint {
    const page = this.allocate(24);
    this.memory.u64(page + 16n, start);
    this.link(this.at(cache + offsets.kprobe_insn_cache.pages), page);
    return page;
  }
}
