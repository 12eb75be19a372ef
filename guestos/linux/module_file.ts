import { ElfFile, type ElfSection } from "../elf_file.ts";

const SHT_SYMTAB = 2;
const SHT_RELA = 4;
const SYMBOL_SIZE = 24;
const RELOCATION_SIZE = 24;
const LOCAL = 0;
const NO_NAME = "";

/** Index of the section of a symbol that another file defines */
export const UNDEFINED = 0;
/** The same of one that is no address in a section */
export const ABSOLUTE = 0xfff1;

/** A symbol of a module. */
export interface ModuleSymbol {
  readonly name: string;
  /** Index of its section, {@linkcode UNDEFINED} or {@linkcode ABSOLUTE} */
  readonly section: number;
  /** Offset in the section */
  readonly value: number;
  readonly global: boolean;
}

/** A place in a module that depends on where it is loaded. */
export interface Relocation {
  /** Offset in the section that is relocated */
  readonly offset: number;
  /** `R_X86_64_*` */
  readonly type: number;
  /** Index of the symbol */
  readonly symbol: number;
  readonly addend: bigint;
}

/**
 * The file of a kernel module: a relocatable ELF file.
 *
 * Source: System V Application Binary Interface, AMD64 supplement.
 */
export class ModuleFile {
  readonly path: string;
  readonly sections: readonly ElfSection[];
  /** Names of the modules whose symbols it uses */
  readonly depends: readonly string[];
  /** The note that tells one build from all others; empty if there is none */
  readonly buildId: Uint8Array;
  #elf: ElfFile;
  #symbols: DataView;
  #names: Uint8Array;
  /** The same as text: decoding each name by itself takes several times long */
  #text: string;

  /**
   * @param path For messages
   * @param bytes The unpacked file
   * @throws {SyntaxError} If it is no ELF file for x86-64, is malformed, has
   *   sections that overlap, or no symbols
   */
  constructor(path: string, bytes: Uint8Array) {
    this.path = path;
    this.#elf = new ElfFile(bytes, path);
    this.sections = this.#elf.sections;
    const size = this.sections.reduce(
      (sum, section) => sum + this.content(section).length,
      0,
    );
    // Or a small file could be read without end
    if (size > bytes.length) {
      throw new SyntaxError(`${path} has sections that overlap`);
    }
    const table = this.sections.find(({ type }) => type === SHT_SYMTAB);
    const names = table && this.sections[table.link];
    if (names === undefined) {
      throw new SyntaxError(`${path} has no table of symbols`);
    }
    this.#symbols = view(this.content(table!));
    this.#names = this.content(names);
    this.#text = new TextDecoder("latin1").decode(this.#names);
    const note = this.section(".note.gnu.build-id");
    this.buildId = note === undefined ? new Uint8Array() : this.content(note);
    const info = this.section(".modinfo");
    const text = info && new TextDecoder("latin1").decode(this.content(info));
    this.depends = text?.split("\0").find((line) => line.startsWith("depends="))
      ?.slice("depends=".length).split(",").filter((name) => name !== "") ?? [];
  }

  /** The first section of a name. */
  section(name: string): ElfSection | undefined {
    return this.sections.find((section) => section.name === name);
  }

  /** What the file holds of a section: a view. */
  content(section: ElfSection): Uint8Array {
    return this.#elf.content(section);
  }

  /**
   * A symbol by its index.
   *
   * @throws {SyntaxError} If there is none such
   */
  symbol(index: number): ModuleSymbol {
    const at = index * SYMBOL_SIZE;
    if (at + SYMBOL_SIZE > this.#symbols.byteLength) {
      throw new SyntaxError(`${this.path} has no symbol ${index}`);
    }
    return {
      name: this.#name(this.#symbols.getUint32(at, true)),
      section: this.#symbols.getUint16(at + 6, true),
      value: Number(this.#symbols.getBigUint64(at + 8, true)),
      global: this.#symbols.getUint8(at + 4) >>> 4 !== LOCAL,
    };
  }

  #name(at: number): string {
    const end = this.#names.indexOf(0, at);
    return end < 0 ? NO_NAME : this.#text.slice(at, end);
  }

  /** All symbols. */
  *symbols(): Generator<ModuleSymbol> {
    const count = Math.floor(this.#symbols.byteLength / SYMBOL_SIZE);
    for (let index = 1; index < count; index++) yield this.symbol(index);
  }

  /** The places of a section that depend on where the module is loaded. */
  *relocations(section: number): Generator<Relocation> {
    for (const table of this.sections) {
      if (table.type !== SHT_RELA || table.info !== section) continue;
      const entries = view(this.content(table));
      const end = entries.byteLength - RELOCATION_SIZE;
      for (let at = 0; at <= end; at += RELOCATION_SIZE) {
        yield {
          offset: Number(entries.getBigUint64(at, true)),
          type: entries.getUint32(at + 8, true),
          symbol: entries.getUint32(at + 12, true),
          addend: entries.getBigInt64(at + 16, true),
        };
      }
    }
  }
}

function view({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}
