import { type GuestSymbol, SymbolTable } from "../symbol_table.ts";
import type { Btf } from "./btf.ts";
import type { KernelSymbol } from "./kallsyms.ts";

/** What lies between two symbols further apart belongs to neither, bytes */
const MAX_SYMBOL = 2 ** 28;
/** What nm calls code */
const FUNCTION_TYPES = "tTwW";

/** A part of an image; offsets count from `_text`. */
export interface ImagePart {
  readonly offset: number;
  readonly size: number;
}

/** What an image is made of. */
export interface ImageParts {
  /** Guest virtual address of `_text` */
  readonly base: bigint;
  /** The image, from `_text` on */
  readonly bytes: Uint8Array;
  /** The kernel's own table, at the addresses where it runs */
  readonly symbols: readonly KernelSymbol[];
  readonly btf: Btf;
  /** By name; none where only memory tells */
  readonly sections: ReadonlyMap<string, ImagePart>;
  /** The kernel file, unpacked: what a boot loader may leave behind it */
  readonly payload?: Uint8Array;
}

/**
 * A Linux kernel in memory: its bytes before it changes itself where its file
 * tells them, or as they were read from a guest, with its symbols and types.
 *
 * Offsets count from `_text`, which is where the image begins: as numbers they
 * are much faster than addresses.
 */
export class LinuxImage {
  readonly base: bigint;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly symbols: readonly KernelSymbol[];
  readonly btf: Btf;
  readonly payload: Uint8Array | undefined;
  #sections: ReadonlyMap<string, ImagePart>;
  #offsets = new Map<string, number>();
  #functionStarts: ReadonlySet<number> | undefined;
  #symbolTable: SymbolTable | undefined;

  constructor(parts: ImageParts) {
    const { base, bytes, symbols } = parts;
    this.base = base;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.symbols = symbols;
    this.btf = parts.btf;
    this.payload = parts.payload;
    this.#sections = parts.sections;
    const isGlobal = new Set<string>();
    for (const { name, type, address } of symbols) {
      const offset = Number(address - base);
      if (offset < 0 || offset > bytes.length) continue;
      // Of one name, that which other files of the kernel see, else the first
      const global = type < "a";
      if (this.#offsets.has(name) && (!global || isGlobal.has(name))) continue;
      if (global) isGlobal.add(name);
      this.#offsets.set(name, offset);
    }
  }

  /** The same image with other symbols and types. */
  with(symbols: readonly KernelSymbol[], btf: Btf): LinuxImage {
    return new LinuxImage({
      base: this.base,
      bytes: this.bytes,
      symbols,
      btf,
      sections: this.#sections,
      ...(this.payload === undefined ? {} : { payload: this.payload }),
    });
  }

  /** Whether the bytes are those of the kernel file. */
  get isOfFile(): boolean {
    return this.payload !== undefined;
  }

  /** A section by its name; `undefined` if there is none in the image. */
  section(name: string): ImagePart | undefined {
    return this.#sections.get(name);
  }

  /** Sections whose names begin with a prefix, by name. */
  *sectionsOf(prefix: string): Generator<[string, ImagePart]> {
    for (const [name, part] of this.#sections) {
      if (name.startsWith(prefix)) yield [name, part];
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

  /** Offsets of all functions that stay when the kernel has booted. */
  get functionStarts(): ReadonlySet<number> {
    // From 7.2 on the kernel's table calls its data code too
    const end = this.need("_etext");
    this.#functionStarts ??= new Set(
      this.symbols.filter(({ type }) => FUNCTION_TYPES.includes(type))
        .map(({ address }) => Number(address - this.base))
        .filter((offset) => offset >= 0 && offset < end),
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
  for (const { name, type, address } of symbols.toReversed()) {
    if (address !== start) {
      size = start === undefined ? 0 : Number(start - address);
      start = address;
    }
    sized.push({
      name,
      address,
      size: size < MAX_SYMBOL ? size : 0,
      global: type < "a",
    });
  }
  return sized.reverse();
}
