import type { ElfFile } from "../elf_file.ts";
import type { KernelFile } from "../kernel_file.ts";
import { Btf } from "./btf.ts";
import { findKallsyms, type KernelSymbol } from "./kallsyms.ts";
import { type GuestSymbol, SymbolTable } from "../symbol_table.ts";
import { relocateImage } from "./relocate_image.ts";

/** Where a kernel may be linked to and run: -2 GiB to -1 GiB */
const LOWEST = 0xffff_ffff_8000_0000n;
const HIGHEST = 0xffff_ffff_c000_0000n;
const MAX_IMAGE = 256 << 20;
const PT_LOAD = 1;
/** What lies between two symbols further apart belongs to neither, bytes */
const MAX_SYMBOL = 2 ** 28;
/** What nm calls code */
const FUNCTION_TYPES = "tTwW";

/** A part of an image; offsets count from `_text`. */
export interface ImagePart {
  readonly offset: number;
  readonly size: number;
}

/**
 * A Linux kernel as its file says that it must be in memory before it changes
 * itself: loaded, relocated for where it runs, with its symbols and types.
 *
 * Offsets count from `_text`, which is where the image begins: as numbers they
 * are much faster than addresses.
 */
export class LinuxImage {
  /** The whole image, from `_text` on */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Guest virtual address of `_text` */
  readonly base: bigint;
  /** The kernel's own table, at the addresses where it runs */
  readonly symbols: readonly KernelSymbol[];
  readonly btf: Btf;
  /** The file, unpacked: what a boot loader may leave behind it */
  readonly payload: Uint8Array;
  #elf: ElfFile;
  #linkBase: bigint;
  #offsets = new Map<string, number>();
  #functionStarts: ReadonlySet<number> | undefined;
  #symbolTable: SymbolTable | undefined;

  /**
   * @param kernel The kernel file
   * @param base Guest virtual address where its `_text` is
   * @throws {SyntaxError} If it is no Linux kernel, or one without kallsyms or
   *   BTF
   */
  constructor(kernel: KernelFile, base: bigint) {
    const { path, elf } = kernel;
    this.#elf = elf;
    this.base = base;
    this.payload = kernel.payload;
    const segments = elf.segments.filter(({ type, address }) =>
      type === PT_LOAD && address >= LOWEST && address < HIGHEST
    );
    const first = segments[0];
    if (first === undefined) {
      throw new SyntaxError(`${path} has nothing where Linux is linked to`);
    }
    this.#linkBase = first.address;
    const end = segments.reduce(
      (end, { address, memorySize }) =>
        Math.max(end, Number(address - this.#linkBase) + memorySize),
      0,
    );
    if (end > MAX_IMAGE) throw new SyntaxError(`${path} is too large`);
    this.bytes = new Uint8Array(end);
    this.view = new DataView(this.bytes.buffer);
    for (const { address, fileSize } of segments) {
      const content = elf.bytesAt(address, fileSize);
      if (content === undefined) throw new SyntaxError(`${path} is cut off`);
      this.bytes.set(content, Number(address - this.#linkBase));
    }
    const delta = base - this.#linkBase;
    if (delta !== 0n) {
      relocateImage(this.bytes, this.#linkBase, delta, kernel);
    }
    this.symbols = this.#readSymbols(path);
    for (const { name, address } of this.symbols) {
      const offset = Number(address - base);
      if (offset >= 0 && offset <= end) this.#offsets.set(name, offset);
    }
    const btf = this.section(".BTF");
    if (btf === undefined) throw new SyntaxError(`${path} has no BTF`);
    this.btf = new Btf(this.slice(btf));
  }

  #readSymbols(path: string): readonly KernelSymbol[] {
    const rodata = this.section(".rodata");
    const symbols = rodata && findKallsyms({
      start: this.base + BigInt(rodata.offset),
      bytes: this.slice(rodata),
    });
    if (symbols === undefined) {
      throw new SyntaxError(`${path} has no table of symbols (kallsyms)`);
    }
    return symbols;
  }

  /** A section by its name; `undefined` if there is none in the image. */
  section(name: string): ImagePart | undefined {
    const section = this.#elf.sections.find((section) => section.name === name);
    if (section === undefined) return undefined;
    const offset = Number(section.address - this.#linkBase);
    const { size } = section;
    return offset >= 0 && offset + size <= this.bytes.length
      ? { offset, size }
      : undefined;
  }

  /** Sections whose names begin with a prefix, by name. */
  *sectionsOf(prefix: string): Generator<[string, ImagePart]> {
    for (const { name } of this.#elf.sections) {
      const part = name.startsWith(prefix) ? this.section(name) : undefined;
      if (part !== undefined) yield [name, part];
    }
  }

  /** The bytes of a part, not a copy. */
  slice({ offset, size }: ImagePart): Uint8Array {
    return this.bytes.subarray(offset, offset + size);
  }

  /** Offset of a symbol; `undefined` if there is none in the image. */
  offset(name: string): number | undefined {
    return this.#offsets.get(name);
  }

  /**
   * Offset of a symbol that must be there.
   *
   * @throws {SyntaxError} If there is none
   */
  need(name: string): number {
    const offset = this.#offsets.get(name);
    if (offset === undefined) {
      throw new SyntaxError(`The kernel has no symbol ${name}`);
    }
    return offset;
  }

  /** What lies between two symbols; `undefined` if one is missing. */
  between(start: string, end: string): ImagePart | undefined {
    const offset = this.offset(start);
    const stop = this.offset(end);
    return offset === undefined || stop === undefined || stop < offset
      ? undefined
      : { offset, size: stop - offset };
  }

  /** Offsets of all functions. */
  get functionStarts(): ReadonlySet<number> {
    this.#functionStarts ??= new Set(
      this.symbols.filter(({ type }) => FUNCTION_TYPES.includes(type))
        .map(({ address }) => Number(address - this.base)),
    );
    return this.#functionStarts;
  }

  /** The symbols, to be looked up both ways. */
  get symbolTable(): SymbolTable {
    return this.#symbolTable ??= new SymbolTable(withSizes(this.symbols));
  }

  /** An address in words: `vfs_read+0x9`. */
  describe(address: bigint): string {
    return this.symbolTable.describe(address);
  }

  /** Guest virtual address of an offset. */
  address(offset: number): bigint {
    return this.base + BigInt(offset);
  }
}

/** The kernel's table has no sizes: a symbol reaches to the next one. */
function withSizes(symbols: readonly KernelSymbol[]): GuestSymbol[] {
  const sized: GuestSymbol[] = [];
  let start: bigint | undefined;
  let size = 0;
  for (const { name, address } of symbols.toReversed()) {
    if (address !== start) {
      size = start === undefined ? 0 : Number(start - address);
      start = address;
    }
    sized.push({ name, address, size: size < MAX_SYMBOL ? size : 0 });
  }
  return sized.reverse();
}
