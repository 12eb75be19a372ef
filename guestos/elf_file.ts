import { nameEnd } from "./elf_name.ts";
import { type ElfNote, readElfNotes } from "./elf_notes.ts";
import type { GuestSymbol } from "./symbol_table.ts";

/** A part of an ELF file that is loaded, or told to the loader. */
export interface ElfSegment {
  /** `PT_LOAD` is 1, `PT_NOTE` is 4 */
  readonly type: number;
  /** Bit 0 executable, bit 1 writable, bit 2 readable */
  readonly flags: number;
  /** Position in the file, bytes */
  readonly offset: number;
  /** Virtual address (`p_vaddr`) */
  readonly address: bigint;
  /** Bytes in the file */
  readonly fileSize: number;
  /** Bytes in memory; what the file does not hold is zero */
  readonly memorySize: number;
  readonly alignment: number;
}

/** A part of an ELF file as the linker sees it. */
export interface ElfSection {
  readonly name: string;
  /** `SHT_SYMTAB` is 2, `SHT_NOTE` is 7, `SHT_NOBITS` is 8 */
  readonly type: number;
  /** `SHF_WRITE` is 1, `SHF_ALLOC` is 2, `SHF_EXECINSTR` is 4 */
  readonly flags: number;
  readonly address: bigint;
  /** Position in the file, bytes */
  readonly offset: number;
  readonly size: number;
  /** Index of the section that this one refers to */
  readonly link: number;
  /** In relocations, index of the section that they are for */
  readonly info: number;
  readonly alignment: number;
  /** Bytes of one entry, in a section that is a table */
  readonly entrySize: number;
}

const EM_X86_64 = 62;
/** Names of other machines that kernels are built for, from the ELF registry */
const MACHINES: ReadonlyMap<number, string> = new Map([
  [3, "i386"],
  [8, "MIPS"],
  [20, "PowerPC"],
  [21, "PowerPC64"],
  [22, "S/390"],
  [40, "ARM"],
  [183, "AArch64"],
  [243, "RISC-V"],
  [258, "LoongArch"],
]);

const HEADER_SIZE = 64;
const SEGMENT_SIZE = 56;
const SECTION_SIZE = 64;
const SYMBOL_SIZE = 24;

const PT_LOAD = 1;
const PT_NOTE = 4;
const SHT_NULL = 0;
const SHT_SYMTAB = 2;
const SHT_STRTAB = 3;
const SHT_NOTE = 7;
const SHT_NOBITS = 8;
const SHN_UNDEF = 0;
const STB_LOCAL = 0;
const STT_SECTION = 3;
const STT_FILE = 4;
const STT_TLS = 6;

// A kernel stays far below each of these, and a hostile file cannot make the
// reader work for long or take much memory.
const MAX_SEGMENTS = 1024;
const MAX_SYMBOLS = 1_000_000;
const MAX_STRINGS = 64 * 1024 * 1024;
const MAX_SYMBOL_BYTES = 2 ** 40;
const MAX_CONTENT = 512 * 1024 * 1024;

/**
 * A reader of ELF64 little-endian files for x86-64. The file is not trusted:
 * each position and length is checked against it, each count has a limit.
 *
 * Source: System V Application Binary Interface, chapters 4 and 5, and its
 * AMD64 supplement.
 */
export class ElfFile {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #name: string;
  /** Guest virtual address where execution starts */
  readonly entry: bigint;
  readonly segments: readonly ElfSegment[];
  readonly sections: readonly ElfSection[];
  readonly notes: readonly ElfNote[];
  /** The loaded segments, ascending by address */
  readonly #loaded: readonly ElfSegment[];
  #symbols: readonly GuestSymbol[] | undefined;

  /**
   * @param bytes The whole file; it must not change afterwards
   * @param name What messages call it, for example its path
   * @throws {SyntaxError} If it is no ELF64 little-endian file, is malformed
   *   or is for another machine
   */
  constructor(bytes: Uint8Array, name = "The file") {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#name = name;
    this.#checkIdentity();
    this.entry = this.#view.getBigUint64(24, true);
    this.segments = this.#readSegments();
    this.#loaded = this.#orderLoaded();
    this.sections = this.#readSections();
    this.notes = this.#readNotes();
  }

  /**
   * The named addresses of the symbol table (`.symtab`), in the file's order.
   * Names that are not printable ASCII or longer than 512 bytes, and what
   * names no address (undefined, files, sections, thread-local) are left out.
   * Empty if the file is stripped.
   *
   * @throws {SyntaxError} If the symbol table is malformed
   */
  get symbols(): readonly GuestSymbol[] {
    this.#symbols ??= this.#readSymbols();
    return this.#symbols;
  }

  /**
   * What the file loads at a range of virtual addresses: its bytes, and zeros
   * where a segment is larger in memory than in the file.
   *
   * @param address First virtual address
   * @param size Bytes, at most 512 MiB
   * @returns `size` bytes, possibly a view of the file: not to be written;
   *   `undefined` if segments do not cover the whole range
   * @throws {RangeError} If the size is not between 0 and 512 MiB
   */
  bytesAt(address: bigint, size: number): Uint8Array | undefined {
    if (!Number.isInteger(size) || size < 0 || size > MAX_CONTENT) {
      throw new RangeError(`Cannot take ${size} bytes of an ELF file`);
    }
    let result: Uint8Array | undefined;
    let done = 0;
    for (const segment of this.#loaded) {
      const start = address + BigInt(done) - segment.address;
      if (start < 0n) return undefined;
      if (start >= BigInt(segment.memorySize)) continue;
      const skipped = Number(start);
      const length = Math.min(size - done, segment.memorySize - skipped);
      const inFile = Math.max(
        0,
        Math.min(length, segment.fileSize - skipped),
      );
      const from = segment.offset + skipped;
      const content = this.#bytes.subarray(from, from + inFile);
      if (inFile === size) return content;
      result ??= new Uint8Array(size);
      result.set(content, done);
      done += length;
      if (done === size) return result;
    }
    return undefined;
  }

  /** What the file holds of a section: a view, empty for `SHT_NOBITS`. */
  content({ type, offset, size }: ElfSection): Uint8Array {
    return type === SHT_NULL || type === SHT_NOBITS
      ? new Uint8Array()
      : this.#bytes.subarray(offset, offset + size);
  }

  /**
   * Position behind all that the headers name: what follows there, if anything,
   * is not of the ELF file.
   */
  get end(): number {
    const header = (table: number, size: number, count: number) =>
      this.#number(table) +
      this.#view.getUint16(size, true) * this.#view.getUint16(count, true);
    return Math.max(
      header(32, 54, 56),
      header(40, 58, 60),
      ...this.segments.filter(({ type }) =>
        type === PT_LOAD || type === PT_NOTE
      )
        .map(({ offset, fileSize }) => offset + fileSize),
      ...this.sections.filter(({ type }) =>
        type !== SHT_NULL && type !== SHT_NOBITS
      ).map(({ offset, size }) => offset + size),
    );
  }

  #malformed(reason: string): SyntaxError {
    return new SyntaxError(`${this.#name} is no ELF file: ${reason}`);
  }

  #checkIdentity(): void {
    const magic = [0x7f, 0x45, 0x4c, 0x46];
    if (!magic.every((byte, i) => this.#bytes[i] === byte)) {
      throw this.#malformed("it does not begin with the ELF magic");
    }
    if (this.#bytes.length < HEADER_SIZE) {
      throw this.#malformed("it ends within its header");
    }
    if (this.#bytes[4] !== 2 || this.#bytes[5] !== 1) {
      throw this.#malformed("only 64-bit little-endian files are understood");
    }
    if (this.#bytes[6] !== 1 || this.#view.getUint32(20, true) !== 1) {
      throw this.#malformed("its version is not 1");
    }
    const machine = this.#view.getUint16(18, true);
    if (machine !== EM_X86_64) {
      const other = MACHINES.get(machine) ?? `machine ${machine}`;
      throw new SyntaxError(
        `${this.#name} is an ELF file for ${other}, not for x86-64`,
      );
    }
  }

  /**
   * A 64-bit position or length. Above 2^53 it is not exact, but then it is
   * far outside every file and is refused all the same.
   */
  #number(position: number): number {
    return this.#view.getUint32(position + 4, true) * 2 ** 32 +
      this.#view.getUint32(position, true);
  }

  #checkInFile(offset: number, size: number, what: string): void {
    if (offset + size > this.#bytes.length) {
      throw this.#malformed(`${what} reaches beyond its end`);
    }
  }

  #readSegments(): ElfSegment[] {
    const table = this.#number(32);
    const count = this.#view.getUint16(56, true);
    if (count === 0) return [];
    if (count > MAX_SEGMENTS) {
      throw this.#malformed(`it has ${count} program headers`);
    }
    const entrySize = this.#view.getUint16(54, true);
    if (entrySize !== SEGMENT_SIZE) {
      throw this.#malformed(`its program headers have ${entrySize} bytes`);
    }
    this.#checkInFile(table, count * SEGMENT_SIZE, "its program header table");
    return Array.from({ length: count }, (_, i) => {
      const at = table + i * SEGMENT_SIZE;
      const segment = {
        type: this.#view.getUint32(at, true),
        flags: this.#view.getUint32(at + 4, true),
        offset: this.#number(at + 8),
        address: this.#view.getBigUint64(at + 16, true),
        fileSize: this.#number(at + 32),
        memorySize: this.#number(at + 40),
        alignment: this.#number(at + 48),
      };
      if (segment.type === PT_LOAD || segment.type === PT_NOTE) {
        this.#checkInFile(segment.offset, segment.fileSize, `segment ${i}`);
      }
      return segment;
    });
  }

  #orderLoaded(): ElfSegment[] {
    const loaded = this.segments.filter(({ type, memorySize }) =>
      type === PT_LOAD && memorySize > 0
    );
    loaded.sort((a, b) =>
      a.address < b.address ? -1 : Number(a.address > b.address)
    );
    let end = 0n;
    for (const { address, fileSize, memorySize } of loaded) {
      if (fileSize > memorySize) {
        throw this.#malformed("a segment is larger in the file than in memory");
      }
      // Two contents for one address: which one is loaded, none can tell
      if (address < end) throw this.#malformed("its segments overlap");
      end = address + BigInt(memorySize);
      if (end > 1n << 64n) {
        throw this.#malformed("a segment reaches beyond the address space");
      }
    }
    return loaded;
  }

  #readSections(): ElfSection[] {
    const table = this.#number(40);
    if (table === 0) return [];
    const count = this.#view.getUint16(60, true);
    if (count === 0) {
      throw this.#malformed("it has 65,280 or more section headers");
    }
    const entrySize = this.#view.getUint16(58, true);
    if (entrySize !== SECTION_SIZE) {
      throw this.#malformed(`its section headers have ${entrySize} bytes`);
    }
    this.#checkInFile(table, count * SECTION_SIZE, "its section header table");
    const headers = Array.from({ length: count }, (_, i) => {
      const at = table + i * SECTION_SIZE;
      const section = {
        nameAt: this.#view.getUint32(at, true),
        type: this.#view.getUint32(at + 4, true),
        flags: this.#number(at + 8),
        address: this.#view.getBigUint64(at + 16, true),
        offset: this.#number(at + 24),
        size: this.#number(at + 32),
        link: this.#view.getUint32(at + 40, true),
        info: this.#view.getUint32(at + 44, true),
        alignment: this.#number(at + 48),
        entrySize: this.#number(at + 56),
      };
      if (section.type !== SHT_NULL && section.type !== SHT_NOBITS) {
        this.#checkInFile(section.offset, section.size, `section ${i}`);
      }
      return section;
    });
    const names = headers[this.#view.getUint16(62, true)];
    return headers.map(({ nameAt, ...section }) => ({
      name: names?.type === SHT_STRTAB ? this.#sectionName(names, nameAt) : "",
      ...section,
    }));
  }

  /** A section's name; empty where it is none that can be shown. */
  #sectionName(names: { offset: number; size: number }, at: number): string {
    const from = names.offset + at;
    const end = nameEnd(this.#bytes, from, names.offset + names.size);
    if (end === undefined) return "";
    return String.fromCharCode(...this.#bytes.subarray(from, end));
  }

  #readNotes(): ElfNote[] {
    return readElfNotes(
      this.#bytes,
      [
        ...this.segments.filter(({ type }) => type === PT_NOTE)
          .map(({ offset, fileSize, alignment }) => ({
            offset,
            size: fileSize,
            alignment,
          })),
        ...this.sections.filter(({ type }) => type === SHT_NOTE),
      ],
      (reason) => this.#malformed(reason),
    );
  }

  #readSymbols(): GuestSymbol[] {
    const table = this.sections.find(({ type }) => type === SHT_SYMTAB);
    if (table === undefined) return [];
    if (table.entrySize !== SYMBOL_SIZE || table.size % SYMBOL_SIZE !== 0) {
      throw this.#malformed("its symbol table has entries of a wrong size");
    }
    const count = table.size / SYMBOL_SIZE;
    if (count > MAX_SYMBOLS) throw this.#malformed(`it has ${count} symbols`);
    const strings = this.sections[table.link];
    if (strings?.type !== SHT_STRTAB || strings.size > MAX_STRINGS) {
      throw this.#malformed("its symbol table has no fitting string table");
    }
    const stringsEnd = strings.offset + strings.size;
    // One text for all names: decoding each by itself takes several times long
    const text = new TextDecoder("latin1").decode(
      this.#bytes.subarray(strings.offset, stringsEnd),
    );
    const symbols: GuestSymbol[] = [];
    for (let i = 1; i < count; i++) {
      const at = table.offset + i * SYMBOL_SIZE;
      const info = this.#bytes[at + 4]!;
      const type = info & 0xf;
      if (type === STT_SECTION || type === STT_FILE || type === STT_TLS) {
        continue;
      }
      if (this.#view.getUint16(at + 6, true) === SHN_UNDEF) continue;
      const nameAt = this.#view.getUint32(at, true);
      if (nameAt >= strings.size) {
        throw this.#malformed(`the name of symbol ${i} is not in the file`);
      }
      const end = nameEnd(this.#bytes, strings.offset + nameAt, stringsEnd);
      if (end === undefined || end === strings.offset + nameAt) continue;
      const address = this.#view.getBigUint64(at + 8, true);
      const size = this.#number(at + 16);
      if (size > MAX_SYMBOL_BYTES) {
        throw this.#malformed(`symbol ${i} has an impossible size`);
      }
      symbols.push({
        name: text.substring(nameAt, end - strings.offset),
        address,
        size,
        global: info >>> 4 !== STB_LOCAL,
      });
    }
    return symbols;
  }
}
