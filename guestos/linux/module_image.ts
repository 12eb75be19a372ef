import { alignUp } from "../align_up.ts";
import type { Btf } from "./btf.ts";
import type { KernelModule } from "./code_owners.ts";
import { type KernelSymbol, KernelSymbols } from "./kernel_symbols.ts";
import type { CodeTable, ImagePart, LinuxImage } from "./linux_image.ts";
import { ABSOLUTE, type ModuleFile, UNDEFINED } from "./module_file.ts";
import { isCode } from "./module_layout.ts";
import type { CodeImage } from "./patches/patching.ts";
import {
  KEY_PLACE,
  KEY_PREFIX,
  STATIC_CALL_STRIDE,
  TRAMPOLINE_PREFIX,
} from "./patches/static_calls.ts";

/** Tables of places that the kernel rewrites while it runs, by the kernel's */
const RUNNING_TABLES: Readonly<Record<CodeTable, string>> = {
  "__jump_table": "__jump_table",
  "mcount_loc": "__mcount_loc",
  "static_call_sites": ".static_call_sites",
};
/** And all others that tell what it does to a module's code */
const TABLES = [
  ".altinstructions",
  ".ibt_endbr_seal",
  ".parainstructions",
  ".retpoline_sites",
  ".return_sites",
  ".smp_locks",
  ...Object.values(RUNNING_TABLES),
];
const TABLE_ALIGNMENT = 8;

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
  /** Where its code is: guest virtual address, bytes */
  readonly text: KernelModule["text"];
  /** Guest virtual addresses by index of the section */
  readonly layout: ReadonlyMap<number, bigint>;
  readonly kernel: LinuxImage;
  /** Address of a symbol that the module does not define */
  readonly resolve: (name: string) => bigint | undefined;
}

/** Where the sections that count are in a module's image. */
interface Placement {
  /** Offsets by index of the section: code, then tables */
  readonly places: ReadonlyMap<number, number>;
  /** Bytes of code, and of all */
  readonly textSize: number;
  readonly size: number;
  /** Where no section is, up to the end of all memory: offsets */
  readonly gaps: readonly (readonly [start: number, end: number])[];
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
  readonly gaps: Placement["gaps"];
  /** Offset of the code from the kernel's `_text` */
  readonly distance: number;
  #kernel: LinuxImage;
  #parts = new Map<string, ImagePart>();
  #own = new Map<string, number>();

  /**
   * @throws {SyntaxError} If the file is malformed, has more code than was
   *   loaded, or uses a symbol that nobody defines
   */
  constructor(parts: ModuleParts) {
    const { file, text, kernel } = parts;
    const base = text.start;
    const placement = placeSections(parts);
    if (placement.textSize > text.size) {
      throw new SyntaxError(`${file.path} has more code than was loaded`);
    }
    this.base = base;
    this.btf = kernel.btf;
    this.textSize = placement.textSize;
    this.gaps = placement.gaps;
    this.distance = Number(base - kernel.base);
    this.#kernel = kernel;
    this.bytes = new Uint8Array(placement.size);
    this.view = new DataView(this.bytes.buffer);
    for (const [index, offset] of placement.places) {
      const section = file.sections[index]!;
      const content = file.content(section);
      this.bytes.set(content, offset);
      this.#parts.set(section.name, { offset, size: content.length });
    }
    relocate(this.view, placement, parts);
    const own = staticCallSymbols(parts);
    for (const { name, address } of own) {
      this.#own.set(name, Number(address - base));
    }
    this.symbols = KernelSymbols.from(own);
  }

  section(name: string): ImagePart | undefined {
    return this.#parts.get(name);
  }

  *sectionsOf(prefix: string): Generator<[string, ImagePart]> {
    for (const [name, part] of this.#parts) {
      if (name.startsWith(prefix)) yield [name, part];
    }
  }

  table(name: CodeTable): ImagePart | undefined {
    return this.section(RUNNING_TABLES[name]);
  }

  offset(name: string): number | undefined {
    const own = this.#own.get(name);
    if (own !== undefined) return own;
    const offset = this.#kernel.offset(name);
    return offset === undefined ? undefined : offset - this.distance;
  }

  need(name: string): number {
    return this.#kernel.need(name) - this.distance;
  }

  namesAt(offset: number): IteratorObject<string> {
    return this.#kernel.namesAt(offset + this.distance);
  }
}

function placeSections({ file, text, layout }: ModuleParts): Placement {
  const places = new Map<number, number>();
  const gaps: [number, number][] = [];
  let end = 0;
  for (const [index, section] of file.sections.entries()) {
    const address = layout.get(index);
    if (address === undefined || !isCode(section)) continue;
    const at = Number(address - text.start);
    places.set(index, at);
    if (at > end) gaps.push([end, at]);
    end = at + section.size;
  }
  const textSize = end;
  gaps.push([textSize, Infinity]);
  for (const [index, section] of file.sections.entries()) {
    if (!TABLES.includes(section.name) || !layout.has(index)) continue;
    const offset = alignUp(end, TABLE_ALIGNMENT);
    places.set(index, offset);
    end = offset + file.content(section).length;
  }
  return { places, textSize, size: end, gaps };
}

/** Writes what depends on where the module and what it uses are. */
function relocate(
  view: DataView,
  { places, size: end }: Placement,
  { file, text: { start: base }, layout, resolve }: ModuleParts,
): void {
  const find = (name: string): bigint => {
    const address = resolve(name);
    if (address !== undefined) return address;
    throw new SyntaxError(`${file.path} uses ${name}, which nobody defines`);
  };
  const addressOf = (index: number): bigint => {
    const { name, section, value } = file.symbol(index);
    if (section === ABSOLUTE) return BigInt(value);
    if (section === UNDEFINED) return find(name);
    // What is not kept lies behind everything, where no code is
    const start = layout.get(section) ?? base + BigInt(end + section);
    return start + BigInt(value);
  };
  /** Of keys that are not exported the loader knows the trampoline. */
  const keyOf = (index: number): bigint => {
    const { name, section } = file.symbol(index);
    return section === UNDEFINED && name.startsWith(TRAMPOLINE_PREFIX)
      ? find(KEY_PREFIX + name.slice(TRAMPOLINE_PREFIX.length))
      : addressOf(index);
  };
  // Most are used many times
  const known = new Map<number, bigint>();
  for (const [index, start] of places) {
    const section = file.sections[index]!;
    const { length: size } = file.content(section);
    const isCalls = section.name === RUNNING_TABLES.static_call_sites;
    for (const { offset, type, symbol, addend } of file.relocations(index)) {
      const [width, relative] = RELOCATIONS.get(type) ?? [0, false];
      if (width === 0 || offset + width > size) {
        throw new SyntaxError(
          `${file.path} is relocated in an unknown way (${type})`,
        );
      }
      const isKey = isCalls && offset % STATIC_CALL_STRIDE === KEY_PLACE;
      const address = isKey
        ? keyOf(symbol)
        : known.get(symbol) ?? addressOf(symbol);
      if (!isKey) known.set(symbol, address);
      const place = start + offset;
      const value = address + addend - (relative ? base + BigInt(place) : 0n);
      if (width === 8) view.setBigInt64(place, value, true);
      else view.setInt32(place, Number(BigInt.asIntN(32, value)), true);
    }
  }
}

/** The module's own trampolines and keys of static calls, by address. */
function staticCallSymbols({ file, layout }: ModuleParts): KernelSymbol[] {
  const symbols: KernelSymbol[] = [];
  for (const { name, section, value } of file.symbols()) {
    const start = section === UNDEFINED ? undefined : layout.get(section);
    const isOne = name.startsWith(TRAMPOLINE_PREFIX) ||
      name.startsWith(KEY_PREFIX);
    if (start === undefined || !isOne) continue;
    symbols.push({ name, type: "t", address: start + BigInt(value) });
  }
  return symbols.sort((a, b) => Number(a.address - b.address));
}
