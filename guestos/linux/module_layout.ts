import { alignUp } from "../align_up.ts";
import type { ElfSection } from "../elf_file.ts";
import type { KernelModule } from "./code_owners.ts";
import type { KernelReader } from "./kernel_reader.ts";
import type { ModuleFile } from "./module_file.ts";

const PAGE_SIZE = 4096;

const SHF_WRITE = 1;
const SHF_ALLOC = 2;
const SHF_EXECINSTR = 4;

/** Sections that the loader reads and does not keep */
const LEFT_OUT = /^(?:\.modinfo|__versions|__version_ext_\w+)$/;
/** Those that it frees after the module has come up */
const INIT = ".init";
const PER_CPU = ".data..percpu";
/** Those that become read-only after the module has come up, by version */
const AFTER_INIT = [".data..ro_after_init", "__jump_table"];
/** And this one since 6.15 */
const CALL_SITES = ".static_call_sites";

/**
 * Kinds of memory in the order in which a module's sections are given places,
 * with the place of each in `enum mod_mem_type`.
 */
const KINDS = [
  { kind: "text", type: 0 },
  { kind: "rodata", type: 2 },
  { kind: "after init", type: 3 },
  { kind: "data", type: 1 },
] as const;
type Kind = typeof KINDS[number]["kind"];

/** Whether a section that the loader keeps is code. */
export function isCode({ flags }: ElfSection): boolean {
  return (flags & SHF_EXECINSTR) !== 0;
}

/** Whether the loader keeps a section. */
function isKept({ name, flags }: ElfSection): boolean {
  return (flags & SHF_ALLOC) !== 0 && !LEFT_OUT.test(name) &&
    !name.startsWith(INIT);
}

/**
 * Where the sections of a loaded module are (`layout_sections` in
 * kernel/module/main.c).
 *
 * @returns Guest virtual addresses by index of the section; none of sections
 *   that are not kept. Of per-CPU data it is what the kernel takes for one.
 * @throws {UnreadableMemoryError} If the module's structure cannot be read
 */
export function moduleLayout(
  file: ModuleFile,
  { address }: KernelModule,
  reader: KernelReader,
): ReadonlyMap<number, bigint> {
  const places = layOut(file, address, reader, AFTER_INIT);
  const calls = file.sections.findIndex(({ name }) => name === CALL_SITES);
  const known = calls < 0 ||
    places.get(calls) ===
      reader.pointer(address, "module", "static_call_sites");
  return known
    ? places
    : layOut(file, address, reader, [...AFTER_INIT, CALL_SITES]);
}

function layOut(
  file: ModuleFile,
  module: bigint,
  reader: KernelReader,
  afterInit: readonly string[],
): Map<number, bigint> {
  // Up to 6.3 all kinds are in one piece of memory
  const together = reader.find("module", "core_layout.base") !== undefined;
  const stride = BigInt(reader.btf.sizeOf("module_memory") ?? 0);
  const places = new Map<number, bigint>();
  let end = 0;
  for (const { kind, type } of KINDS) {
    const base = together
      ? reader.pointer(module, "module", "core_layout.base")
      : reader.pointer(
        reader.member(module, "module", "mem") + BigInt(type) * stride,
        "module_memory",
        "base",
      );
    end = together ? alignUp(end, PAGE_SIZE) : 0;
    for (const [index, section] of file.sections.entries()) {
      if (!isKept(section) || section.name === PER_CPU) continue;
      if (kindOf(section, afterInit) !== kind) continue;
      const offset = alignUp(end, Math.max(section.alignment, 1));
      places.set(index, base + BigInt(offset));
      end = offset + section.size;
    }
  }
  const perCpu = file.sections.findIndex(({ name }) => name === PER_CPU);
  if (perCpu >= 0) {
    places.set(perCpu, reader.pointer(module, "module", "percpu"));
  }
  return places;
}

function kindOf(section: ElfSection, afterInit: readonly string[]): Kind {
  if (isCode(section)) return "text";
  if ((section.flags & SHF_WRITE) === 0) return "rodata";
  return afterInit.includes(section.name) ? "after init" : "data";
}
