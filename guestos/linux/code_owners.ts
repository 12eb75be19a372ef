import { type GuestMemory, UnreadableMemoryError } from "../memory.ts";
import { EndlessListError, KernelReader } from "./kernel_reader.ts";
import type { LinuxImage } from "./linux_image.ts";

const MAX_MODULES = 4096;
const MAX_PROGRAMS = 65_536;
const MAX_HOOKS = 4096;
const MAX_PROBES = 65_536;
/** Buckets and, four times each, entries of all hooks' filters */
const MAX_FILTERS = 4 << 20;
const ENTRY_COST = 4;
const MAX_NAME = 56;
const PROBE_BUCKETS = 64;
const PAGE_SIZE = 4096n;
/** A page of slots holds copies of probed instructions */
const SLOTS_SIZE = PAGE_SIZE;
/** Bytes of a BPF program pack for each node of the machine */
const PACK_SIZE = 2 << 20;
const CHUNK_SIZE = 64;
const MAX_NODES = 64;
/** Bytes of `node_states[N_POSSIBLE]` */
const NODE_MASK_SIZE = 128;
const MAX_PACKS = 4096;
/** Bytes of all packs' bitmaps, and the parts that they tell of */
const MAX_BITMAPS = 16 << 20;
const MAX_PARTS = 65_536;
const ALL_USED = 0xff;
/** Largest piece of code that one owner has */
const MAX_CODE = 1n << 30n;

/** Who a range of executable memory belongs to. */
export interface CodeOwner {
  readonly kind:
    | "kernel"
    | "module"
    | "BPF program"
    | "BPF program pack"
    | "ftrace trampoline"
    | "kprobe slots"
    | "real-mode trampoline";
  readonly name: string;
  /** Guest virtual address */
  readonly start: bigint;
  /** First address behind it */
  readonly end: bigint;
}

/** A module that is loaded. */
export interface KernelModule {
  readonly name: string;
  /** Address of its `struct module` */
  readonly address: bigint;
  /** Whether it is up, and neither comes nor goes */
  readonly isLive: boolean;
  readonly text: { readonly start: bigint; readonly size: number };
}

/** The trampoline of a hook. */
export interface FtraceTrampoline {
  /** Address of the function that is called */
  readonly function: bigint;
  readonly trampoline: { readonly start: bigint; readonly end: bigint };
}

/** A hook that ftrace calls (`struct ftrace_ops`). */
export interface FtraceHook extends FtraceTrampoline {
  readonly address: bigint;
  /** Functions that it hooks; `undefined` for all */
  readonly functions: ReadonlySet<bigint> | undefined;
}

/** What is left of the work that hostile lists may cause. */
interface Budget {
  left: number;
}

function spend(budget: Budget, cost: number): void {
  budget.left -= cost;
  if (budget.left < 0) throw new EndlessListError();
}

/** A probe of an instruction (`struct kprobe`). */
export interface Kprobe {
  /** Where it is */
  readonly address: bigint;
  /** What it calls first; 0 if nothing */
  readonly handler: bigint;
  /** Where its jump leads, if it is optimized into one */
  readonly detour: bigint;
}

/**
 * Who owns executable memory, and who hooks the kernel, by the kernel's own
 * lists as they are at one time. The lists are hostile: each is bounded, and
 * what cannot be read ends it.
 */
export class CodeOwners {
  readonly modules: readonly KernelModule[];
  readonly hooks: readonly FtraceHook[];
  /** Those whose trampoline is not freed yet, whether they hook or not */
  readonly trampolines: readonly FtraceTrampoline[];
  readonly owners: readonly CodeOwner[];
  /** Lists that could not be read to their end */
  readonly unreadable: readonly string[];
  #probes: ReadonlyMap<bigint, Kprobe>;
  #image: LinuxImage;

  /**
   * @param image The kernel; its symbols name the lists
   * @param memory The guest's memory
   */
  constructor(image: LinuxImage, memory: GuestMemory) {
    this.#image = image;
    const reader = new KernelReader(memory, image.btf);
    const unreadable: string[] = [];
    const filters = { left: MAX_FILTERS };
    const collect = <T>(
      name: string,
      symbol: string,
      items: (address: bigint) => Iterable<T>,
    ): T[] => {
      const offset = image.offset(symbol);
      const found: T[] = [];
      if (offset === undefined) return found;
      try {
        for (const item of items(image.address(offset))) found.push(item);
      } catch (error) {
        const isKnown = error instanceof UnreadableMemoryError ||
          error instanceof EndlessListError;
        if (!isKnown) throw error;
        unreadable.push(name);
      }
      return found;
    };
    this.modules = collect(
      "modules",
      "modules",
      (head) => readModules(reader, head),
    );
    this.hooks = collect(
      "ftrace hooks",
      "ftrace_ops_list",
      (list) => readHooks(reader, image, list, filters),
    );
    this.trampolines = collect(
      "ftrace trampolines",
      "ftrace_ops_trampoline_list",
      (head) => readTrampolines(reader, head),
    );
    this.#probes = new Map(
      collect("kprobes", "kprobe_table", (table) => readProbes(reader, table))
        .map((probe) => [probe.address, probe]),
    );
    const text = image.need("_etext");
    this.owners = [
      {
        kind: "kernel",
        name: "kernel",
        start: image.base,
        end: image.address(Math.ceil(text / 4096) * 4096),
      },
      ...this.modules.map(({ name, text }): CodeOwner => ({
        kind: "module",
        name,
        start: text.start,
        end: text.start + BigInt(text.size),
      })),
      ...collect("modules", "modules", (head) => readInit(reader, head)),
      ...collect(
        "BPF programs",
        "bpf_kallsyms",
        (head) => readPrograms(reader, head),
      ),
      ...collect(
        "BPF program packs",
        "pack_list",
        (head) => readPacks(reader, image, head),
      ),
      ...[...this.hooks, ...this.trampolines].filter(({ trampoline }) =>
        trampoline.end > trampoline.start
      ).map(({ function: address, trampoline }): CodeOwner => ({
        kind: "ftrace trampoline",
        name: `0x${address.toString(16)}`,
        ...trampoline,
      })),
      ...["kprobe_insn_slots", "kprobe_optinsn_slots"].flatMap((symbol) =>
        collect("kprobe slots", symbol, (cache) => readSlots(reader, cache))
      ),
      ...collect(
        "real-mode trampoline",
        "real_mode_header",
        (header) => readRealMode(reader, image, header),
      ),
    ];
    this.unreadable = [...new Set(unreadable)];
  }

  /** Who owns an address; the smallest one that does. */
  owner(address: bigint): CodeOwner | undefined {
    let best: CodeOwner | undefined;
    for (const owner of this.owners) {
      if (address < owner.start || address >= owner.end) continue;
      const smaller = best === undefined ||
        owner.end - owner.start < best.end - best.start;
      if (smaller) best = owner;
    }
    return best;
  }

  /** Whether an address is one that the kernel may call. */
  isCallable(address: bigint): boolean {
    const owner = this.owner(address);
    if (owner?.kind !== "kernel") return owner !== undefined;
    return this.#image.functionStarts.has(Number(address - this.#image.base));
  }

  /** The probe of an instruction, if there is one. */
  probe(address: bigint): Kprobe | undefined {
    return this.#probes.get(address);
  }
}

function* readModules(
  reader: KernelReader,
  head: bigint,
): Generator<KernelModule> {
  for (const module of reader.list(head, "module", "list", MAX_MODULES)) {
    const text = moduleText(reader, module, "core_layout", 0);
    if (text === undefined) continue;
    yield {
      name: reader.text(reader.member(module, "module", "name"), MAX_NAME),
      address: module,
      isLive: reader.number(module, "module", "state") === 0,
      text,
    };
  }
}

/** Code of modules that are being loaded, which is freed afterwards. */
function* readInit(reader: KernelReader, head: bigint): Generator<CodeOwner> {
  // enum mod_mem_type: MOD_TEXT is 0, MOD_INIT_TEXT 4
  for (const module of reader.list(head, "module", "list", MAX_MODULES)) {
    const text = moduleText(reader, module, "init_layout", 4);
    if (text === undefined || text.size === 0) continue;
    yield {
      kind: "module",
      name: reader.text(reader.member(module, "module", "name"), MAX_NAME),
      start: text.start,
      end: text.start + BigInt(text.size),
    };
  }
}

/** Layouts up to 6.3 are members of their own, later ones an array. */
function moduleText(
  reader: KernelReader,
  module: bigint,
  layout: string,
  type: number,
): { start: bigint; size: number } | undefined {
  if (reader.find("module", `${layout}.base`) !== undefined) {
    return {
      start: reader.pointer(module, "module", `${layout}.base`),
      size: reader.number(module, "module", `${layout}.text_size`),
    };
  }
  const stride = reader.btf.sizeOf("module_memory");
  if (stride === undefined) return undefined;
  const memory = reader.member(module, "module", "mem") +
    BigInt(type * stride);
  return {
    start: reader.pointer(memory, "module_memory", "base"),
    size: reader.number(memory, "module_memory", "size"),
  };
}

function* readPrograms(
  reader: KernelReader,
  head: bigint,
): Generator<CodeOwner> {
  for (const symbol of reader.list(head, "bpf_ksym", "lnode", MAX_PROGRAMS)) {
    const start = reader.pointer(symbol, "bpf_ksym", "start");
    const end = reader.pointer(symbol, "bpf_ksym", "end");
    if (end <= start || end - start > MAX_CODE) continue;
    yield {
      kind: "BPF program",
      name: reader.text(reader.member(symbol, "bpf_ksym", "name"), MAX_NAME),
      start,
      end,
    };
  }
}

/** The parts of packs that are given to programs (`struct bpf_prog_pack`). */
function* readPacks(
  reader: KernelReader,
  image: LinuxImage,
  head: bigint,
): Generator<CodeOwner> {
  const bitmapAt = reader.btf.sizeOf("bpf_prog_pack");
  if (bitmapAt === undefined) return;
  const size = PACK_SIZE * countNodes(reader, image);
  const bitmaps = { left: MAX_BITMAPS };
  const parts = { left: MAX_PARTS };
  for (const pack of reader.list(head, "bpf_prog_pack", "list", MAX_PACKS)) {
    spend(bitmaps, size / CHUNK_SIZE / 8);
    const base = reader.pointer(pack, "bpf_prog_pack", "ptr");
    const bitmap = reader.bytes(
      pack + BigInt(
        reader.find("bpf_prog_pack", "bitmap")?.offset ??
          bitmapAt,
      ),
      size / CHUNK_SIZE / 8,
    );
    let first: number | undefined;
    for (let chunk = 0; chunk <= size / CHUNK_SIZE; chunk++) {
      // Most of a pack is free
      const goesOn = (chunk & 7) === 0 &&
        bitmap[chunk >>> 3] === (first === undefined ? 0 : ALL_USED);
      if (goesOn) {
        chunk += 7;
        continue;
      }
      const used = (bitmap[chunk >>> 3]! >>> (chunk & 7) & 1) === 1;
      if (used) {
        first ??= chunk;
      } else if (first !== undefined) {
        spend(parts, 1);
        yield {
          kind: "BPF program pack",
          name: `0x${base.toString(16)}`,
          start: base + BigInt(first * CHUNK_SIZE),
          end: base + BigInt(chunk * CHUNK_SIZE),
        };
        first = undefined;
      }
    }
  }
}

/** Nodes that the machine may have. */
function countNodes(reader: KernelReader, image: LinuxImage): number {
  const states = image.offset("node_states");
  if (states === undefined) return 1;
  let count = 0;
  for (let byte of reader.bytes(image.address(states), NODE_MASK_SIZE)) {
    for (; byte !== 0; byte >>>= 1) count += byte & 1;
  }
  return Math.min(Math.max(count, 1), MAX_NODES);
}

function* readHooks(
  reader: KernelReader,
  image: LinuxImage,
  list: bigint,
  filters: Budget,
): Generator<FtraceHook> {
  const end = image.address(image.need("ftrace_list_end"));
  const seen = new Set<bigint>();
  let hook = reader.u64(list);
  for (; hook !== end && hook !== 0n;) {
    if (seen.size === MAX_HOOKS || seen.has(hook)) throw new EndlessListError();
    seen.add(hook);
    yield readHook(reader, hook, filters);
    hook = reader.pointer(hook, "ftrace_ops", "next");
  }
}

/** What a hook was for may be freed before its trampoline is. */
function* readTrampolines(
  reader: KernelReader,
  head: bigint,
): Generator<FtraceTrampoline> {
  for (const hook of reader.list(head, "ftrace_ops", "list", MAX_HOOKS)) {
    yield readTrampoline(reader, hook);
  }
}

function readTrampoline(reader: KernelReader, hook: bigint): FtraceTrampoline {
  const start = reader.pointer(hook, "ftrace_ops", "trampoline");
  const size = reader.pointer(hook, "ftrace_ops", "trampoline_size");
  return {
    function: reader.pointer(hook, "ftrace_ops", "func"),
    trampoline: { start, end: start + (size < MAX_CODE ? size : 0n) },
  };
}

function readHook(
  reader: KernelReader,
  hook: bigint,
  filters: Budget,
): FtraceHook {
  let functions: ReadonlySet<bigint> | undefined;
  try {
    functions = hookedFunctions(reader, hook, filters);
  } catch (error) {
    if (!(error instanceof UnreadableMemoryError)) throw error;
    // A filter that was freed is for nothing; others are on the list behind it
    functions = new Set();
  }
  return { address: hook, ...readTrampoline(reader, hook), functions };
}

/** The functions that a hook is for (`struct ftrace_hash`); all if none. */
function hookedFunctions(
  reader: KernelReader,
  hook: bigint,
  filters: Budget,
): Set<bigint> | undefined {
  const hashes = reader.pointer(hook, "ftrace_ops", "func_hash");
  if (hashes === 0n) return undefined;
  const hash = reader.pointer(hashes, "ftrace_ops_hash", "filter_hash");
  if (hash === 0n || reader.pointer(hash, "ftrace_hash", "count") === 0n) {
    return undefined;
  }
  const bits = reader.pointer(hash, "ftrace_hash", "size_bits");
  const buckets = reader.pointer(hash, "ftrace_hash", "buckets");
  const functions = new Set<bigint>();
  if (bits > 20n) return functions;
  const count = 1 << Number(bits);
  spend(filters, count);
  const heads = new BigUint64Array(reader.bytes(buckets, 8 * count).buffer);
  for (const head of heads) {
    for (let entry = head; entry !== 0n; entry = reader.u64(entry)) {
      spend(filters, ENTRY_COST);
      const before = functions.size;
      functions.add(reader.pointer(entry, "ftrace_func_entry", "ip"));
      // A list that goes in circles shows the same functions again
      if (functions.size === before) break;
    }
  }
  return functions;
}

function* readProbes(reader: KernelReader, table: bigint): Generator<Kprobe> {
  const seen = new Set<bigint>();
  for (let bucket = 0; bucket < PROBE_BUCKETS; bucket++) {
    let probe = reader.u64(table + BigInt(8 * bucket));
    for (; probe !== 0n; probe = reader.u64(probe)) {
      if (seen.size === MAX_PROBES || seen.has(probe)) {
        throw new EndlessListError();
      }
      seen.add(probe);
      yield {
        address: reader.pointer(probe, "kprobe", "addr"),
        handler: probeHandler(reader, probe),
        detour: detourOf(reader, probe),
      };
    }
  }
}

/** Where several probes share a place, the first of them tells. */
function probeHandler(reader: KernelReader, probe: bigint): bigint {
  const list = reader.member(probe, "kprobe", "list");
  const first = reader.u64(list);
  const member = first !== list && first !== 0n
    ? first - reader.member(0n, "kprobe", "list")
    : probe;
  return reader.pointer(member, "kprobe", "pre_handler");
}

/** Every probe at a place of its own may be part of an optimized one. */
function detourOf(reader: KernelReader, probe: bigint): bigint {
  const FLAG_OPTIMIZED = 4;
  const flags = reader.number(probe, "kprobe", "flags");
  if ((flags & FLAG_OPTIMIZED) === 0) return 0n;
  const offset = reader.find("optimized_kprobe", "optinsn.insn");
  return offset === undefined ? 0n : reader.u64(probe + BigInt(offset.offset));
}

function* readSlots(reader: KernelReader, cache: bigint): Generator<CodeOwner> {
  const head = reader.member(cache, "kprobe_insn_cache", "pages");
  const pages = reader.list(head, "kprobe_insn_page", "list", MAX_PACKS);
  for (const page of pages) {
    const start = reader.pointer(page, "kprobe_insn_page", "insns");
    yield {
      kind: "kprobe slots",
      name: `0x${start.toString(16)}`,
      start,
      end: start + SLOTS_SIZE,
    };
  }
}

function* readRealMode(
  reader: KernelReader,
  image: LinuxImage,
  header: bigint,
): Generator<CodeOwner> {
  const start = reader.u64(header);
  const blob = image.between("real_mode_blob", "real_mode_blob_end");
  if (start === 0n || blob === undefined) return;
  yield {
    kind: "real-mode trampoline",
    name: "real-mode trampoline",
    start,
    end: start + BigInt(Math.ceil(blob.size / 4096) * 4096),
  };
}
