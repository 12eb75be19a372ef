import { firstIndex } from "../first_index.ts";
import { SymbolTable } from "../symbol_table.ts";
import type { Btf } from "./btf.ts";
import { type KernelSymbol, KernelSymbols } from "./kernel_symbols.ts";
import { SizedSymbols } from "./sized_symbols.ts";

/** What nm calls code */
const FUNCTION_TYPES = new TextEncoder().encode("tTwW");

/** A part of an image; offsets count from `_text`. */
export interface ImagePart {
  readonly offset: number;
  readonly size: number;
}

/** Tables of places that the kernel rewrites while it runs. */
export type CodeTable = "__jump_table" | "mcount_loc" | "static_call_sites";

/** What an image is made of. */
export interface ImageParts {
  /** Guest virtual address of `_text` */
  readonly base: bigint;
  /** The image, from `_text` on */
  readonly bytes: Uint8Array;
  /** The kernel's own table, at the addresses where it runs */
  readonly symbols: KernelSymbols;
  readonly btf: Btf;
  /** By name; none where only memory tells */
  readonly sections: ReadonlyMap<string, ImagePart>;
  /** Whether the bytes are those of the kernel file */
  readonly isOfFile: boolean;
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
  readonly symbols: KernelSymbols;
  readonly btf: Btf;
  /** Whether the bytes are those of the kernel file */
  readonly isOfFile: boolean;
  #sections: ReadonlyMap<string, ImagePart>;
  /** Of each symbol, in their order */
  #offsets: Float64Array | undefined;
  /** Of those that were asked for, by name */
  #known = new Map<string, number | undefined>();
  #functionStarts: Starts | undefined;
  #symbolTable: SymbolTable | undefined;

  constructor(parts: ImageParts) {
    const { base, bytes, symbols } = parts;
    this.base = base;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.symbols = symbols;
    this.btf = parts.btf;
    this.isOfFile = parts.isOfFile;
    this.#sections = parts.sections;
  }

  /** The same image with other symbols and types. */
  with(symbols: Iterable<KernelSymbol>, btf: Btf): LinuxImage {
    return new LinuxImage({
      base: this.base,
      bytes: this.bytes,
      symbols: KernelSymbols.from(symbols),
      btf,
      sections: this.#sections,
      isOfFile: this.isOfFile,
    });
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
    let offset = this.#known.get(name);
    if (offset === undefined && !this.#known.has(name)) {
      const offsets = this.#symbolOffsets;
      const index = this.symbols.find(
        name,
        (index) => offsets[index]! >= 0 && offsets[index]! <= this.bytes.length,
      );
      offset = index === undefined ? undefined : offsets[index];
      this.#known.set(name, offset);
    }
    return offset;
  }

  get #symbolOffsets(): Float64Array {
    return this.#offsets ??= this.symbols.distances(this.base);
  }

  /**
   * Offset of a symbol that must be there.
   *
   * @throws {SyntaxError} If there is none
   */
  need(name: string): number {
    const offset = this.offset(name);
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

  /** A table of places that the kernel rewrites while it runs. */
  table(name: CodeTable): ImagePart | undefined {
    return this.between(`__start_${name}`, `__stop_${name}`);
  }

  /** Names of all symbols at an offset. */
  *namesAt(offset: number): Generator<string> {
    const offsets = this.#symbolOffsets;
    for (let i = firstFrom(offsets, offset); offsets[i] === offset; i++) {
      yield this.symbols.at(i).name;
    }
  }

  /** Offsets of all functions that stay when the kernel has booted. */
  get functionStarts(): Pick<ReadonlySet<number>, "has"> {
    return this.#functionStarts ??= new Starts(this.#listFunctions());
  }

  #listFunctions(): Float64Array {
    // From 7.2 on the kernel's table calls its data code too
    const end = this.need("_etext");
    return this.#symbolOffsets.filter((offset, index) =>
      offset >= 0 && offset < end &&
      FUNCTION_TYPES.includes(this.symbols.type(index))
    );
  }

  /** The symbols, to be looked up both ways. */
  get symbolTable(): SymbolTable {
    return this.#symbolTable ??= new SymbolTable(
      new SizedSymbols(this.symbols),
    );
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

/** Numbers in ascending order, as a set. */
class Starts {
  readonly #numbers: Float64Array;

  constructor(numbers: Float64Array) {
    this.#numbers = numbers;
  }

  has(number: number): boolean {
    return this.#numbers[firstFrom(this.#numbers, number)] === number;
  }
}

/** Position of the first of ascending numbers that is at least so large. */
function firstFrom(numbers: Float64Array, wanted: number): number {
  return firstIndex(numbers.length, (index) => numbers[index]! >= wanted);
}
