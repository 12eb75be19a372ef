import type { ElfSection } from "../elf_file.ts";
import type { Btf } from "./btf.ts";
import { type KernelSymbol, KernelSymbols } from "./kernel_symbols.ts";
import type { ImagePart, LinuxImage } from "./linux_image.ts";
import { ABSOLUTE, type ModuleFile, UNDEFINED } from "./module_file.ts";
import { isKept } from "./module_layout.ts";
import type { CodeImage } from "./patches/patching.ts";

const SHF_EXECINSTR = 4;

/** Tables that tell what the kernel does to a module's code */
const TABLES = [
  ".altinstructions",
  ".ibt_endbr_seal",
  ".parainstructions",
  ".retpoline_sites",
  ".return_sites",
  ".smp_locks",
  ".static_call_sites",
  "__jump_table",
  "__mcount_loc",
];
/** By the symbols that begin the kernel's own tables of the same kind */
const OWN_TABLES: Readonly<Record<string, string>> = {
  "__start___jump_table": "__jump_table",
  "__start_static_call_sites": ".static_call_sites",
  "__start_mcount_loc": "__mcount_loc",
};

/** Names of a static call's trampoline and of its key */
const TRAMPOLINE = "__SCT__";
const KEY = "__SCK__";
const STATIC_CALL_STRIDE = 8;
const KEY_PLACE = 4;

/** `R_X86_64_*`, by bytes and whether they are relative to their own place */
const RELOCATIONS: ReadonlyMap<number, [number, boolean]> = new Map([
  [1, [8, false]], // 64
  [2, [4, true]], // PC32
  [4, [4, true]], // PLT32: the kernel has no procedure linkage table
  [10, [4, false]], // 32
  [11, [4, false]], // 32S
  [24, [8, true]], // PC64
]);

/** What a module's image is made of. */
export interface ModuleParts {
  readonly file: ModuleFile;
  /** Guest virtual address of its code */
  readonly base: bigint;
  /** Guest virtual addresses by index of the section */
  readonly layout: ReadonlyMap<number, bigint>;
  readonly kernel: LinuxImage;
  /** Address of a symbol that the module does not define */
  readonly resolve: (name: string) => bigint | undefined;
}

/**
 * A module's code as its file says that it must be, relocated for where it is.
 * Offsets count from its first byte of code. The tables lie behind the code,
 * wherever they are in the guest.
 */
export class ModuleImage implements CodeImage {
  readonly base: bigint;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly view: DataView;
  readonly btf: Btf;
  /** The trampolines and keys of static calls that are the module's own */
  readonly symbols: KernelSymbols;
  /** Bytes of code */
  readonly textSize: number;
  /** Where no section is, up to the end of all memory: offsets */
  readonly gaps: readonly (readonly [start: number, end: number])[];
  #kernel: LinuxImage;
  #parts = new Map<string, ImagePart>();
  #own = new Map<string, number>();

  /**
   * @throws {SyntaxError} If the file is malformed, or uses a symbol that
   *   nobody defines
   */
  constructor({ file, base, layout, kernel, resolve }: ModuleParts) {
    this.base = base;
    this.btf = kernel.btf;
    this.#kernel = kernel;
    const places = new Map<number, number>();
    const gaps: [number, number][] = [];
    let end = 0;
    for (const [index, section] of file.sections.entries()) {
      const address = layout.get(index);
      if (address === undefined || !isCode(section)) continue;
      const at = Number(address - base);
      places.set(index, at);
      if (at > end) gaps.push([end, at]);
      end = at + section.size;
    }
    this.textSize = end;
    this.gaps = [...gaps, [end, Infinity]];
    for (const [index, { name, size }] of file.sections.entries()) {
      if (!TABLES.includes(name) || !layout.has(index)) continue;
      const offset = Math.ceil(end / STATIC_CALL_STRIDE) * STATIC_CALL_STRIDE;
      places.set(index, offset);
      this.#parts.set(name, { offset, size });
      end = offset + size;
    }
    this.bytes = new Uint8Array(end);
    this.view = new DataView(this.bytes.buffer);
    for (const [index, at] of places) {
      this.bytes.set(file.content(file.sections[index]!), at);
    }

    const address = (section: number): bigint =>
      // What is not kept lies behind everything, where no code is
      layout.get(section) ?? base + BigInt(end + section);
    // Most are used many times
    const known = new Map<number, bigint>();
    const symbolAddress = (index: number, isKey: boolean): bigint => {
      if (isKey) return findSymbol(index, isKey);
      const address = known.get(index) ?? findSymbol(index, isKey);
      known.set(index, address);
      return address;
    };
    const findSymbol = (index: number, isKey: boolean): bigint => {
      const { name, section, value } = file.symbol(index);
      if (section === ABSOLUTE) return BigInt(value);
      if (section !== UNDEFINED) return address(section) + BigInt(value);
      const wanted = isKey && name.startsWith(TRAMPOLINE)
        // Of keys that are not exported the loader knows the trampoline
        ? KEY + name.slice(TRAMPOLINE.length)
        : name;
      const found = resolve(wanted);
      if (found === undefined) {
        throw new SyntaxError(
          `${file.path} uses ${name}, which nobody defines`,
        );
      }
      return found;
    };
    for (const [index, at] of places) {
      const { name, size } = file.sections[index]!;
      const isCalls = name === ".static_call_sites";
      for (const { offset, type, symbol, addend } of file.relocations(index)) {
        const [width, relative] = RELOCATIONS.get(type) ?? [0, false];
        if (width === 0 || offset + width > size) {
          throw new SyntaxError(
            `${file.path} is relocated in an unknown way (${type})`,
          );
        }
        const isKey = isCalls && offset % STATIC_CALL_STRIDE === KEY_PLACE;
        const place = at + offset;
        const value = symbolAddress(symbol, isKey) + addend -
          (relative ? base + BigInt(place) : 0n);
        if (width === 8) this.view.setBigInt64(place, value, true);
        else this.view.setInt32(place, Number(BigInt.asIntN(32, value)), true);
      }
    }

    const symbols: KernelSymbol[] = [];
    for (const { name, section, value } of file.symbols()) {
      const isOwn = section !== UNDEFINED && layout.has(section) &&
        (name.startsWith(TRAMPOLINE) || name.startsWith(KEY));
      if (!isOwn) continue;
      const at = address(section) + BigInt(value);
      symbols.push({ name, type: "t", address: at });
      this.#own.set(name, Number(at - base));
    }
    this.symbols = KernelSymbols.from(
      symbols.sort((a, b) => Number(a.address - b.address)),
    );
  }

  section(name: string): ImagePart | undefined {
    return this.#parts.get(name);
  }

  *sectionsOf(prefix: string): Generator<[string, ImagePart]> {
    for (const [name, part] of this.#parts) {
      if (name.startsWith(prefix)) yield [name, part];
    }
  }

  offset(name: string): number | undefined {
    const own = this.#own.get(name);
    if (own !== undefined) return own;
    const offset = this.#kernel.offset(name);
    return offset === undefined
      ? undefined
      : offset + Number(this.#kernel.base - this.base);
  }

  need(name: string): number {
    return this.#kernel.need(name) + Number(this.#kernel.base - this.base);
  }

  namesAt(offset: number): IteratorObject<string> {
    return this.#kernel.namesAt(offset + Number(this.base - this.#kernel.base));
  }

  between(start: string, _end: string): ImagePart | undefined {
    const table = OWN_TABLES[start];
    return table === undefined ? undefined : this.#parts.get(table);
  }
}

function isCode(section: ElfSection): boolean {
  return isKept(section) && (section.flags & SHF_EXECINSTR) !== 0;
}
