import type { SymbolTable } from "../../guestos/symbol_table.ts";
import type { CodeLine, Disassembler } from "../../guestos/x86/disassembler.ts";
import { PAGE_SIZE } from "../guest.ts";
import { KERNEL_HALF, type NamedLine, type Word } from "./evidence.ts";
import type { Part } from "./part.ts";

/** How far before an address its function may begin, bytes */
const MAX_FUNCTION = 16_384n;
/** Code that is shown behind a place, bytes */
const BEHIND = 48n;
/** Instructions that are shown before a place, and behind it */
const LINES_BEFORE = 7;
const LINES_BEHIND = 9;

/** Reads bytes, of the guest or of a trusted copy. */
export type ReadBytes = (address: bigint, size: number) => Uint8Array;

/** Shows addresses of a kernel as its symbols, and its code as instructions. */
export class KernelView {
  #symbols: SymbolTable;
  #disassembler: Part<Disassembler>;

  constructor(symbols: SymbolTable, disassembler: Part<Disassembler>) {
    this.#symbols = symbols;
    this.#disassembler = disassembler;
  }

  /** An address in words; the bare address where no symbol fits. */
  describe(address: bigint): string {
    return this.#symbols.describe(address);
  }

  /** A word, and where it leads if it leads into the kernel. */
  word(value: bigint): Word {
    const symbol = this.#nameOf(value);
    return { value, ...(symbol === undefined ? {} : { symbol }) };
  }

  #nameOf(address: bigint): string | undefined {
    // What is below may be a number that happens to have a symbol
    if (address < KERNEL_HALF) return undefined;
    const symbol = this.#symbols.describe(address);
    return symbol.startsWith("0x") ? undefined : symbol;
  }

  /**
   * The instructions around a place, from the beginning of its function on so
   * that they begin where the processor sees them begin.
   *
   * @param size Bytes of the place
   * @param marks Whether an instruction stands out
   * @throws {Error} If there is no disassembler, or nothing can be read
   */
  codeAround(
    read: ReadBytes,
    address: bigint,
    size: number,
    marks: (address: bigint, bytes: Uint8Array) => boolean,
  ): NamedLine[] {
    const covering = this.#symbols.covering(address)?.address;
    const start = covering !== undefined && address - covering <= MAX_FUNCTION
      ? covering
      : address;
    const last = address + BigInt(size) + BEHIND;
    const lines = this.#lines(
      readSome(read, start, Number(last - start)),
      start,
    );
    const end = address + BigInt(size);
    const isBefore = ({ address: at, bytes }: CodeLine) =>
      at + BigInt(bytes.length) <= address;
    const before = lines.filter(isBefore).length;
    const through = lines.filter((line) => line.address < end).length;
    return lines
      .slice(Math.max(0, before - LINES_BEFORE), through + LINES_BEHIND)
      .map((line) => ({ ...line, marked: marks(line.address, line.bytes) }));
  }

  #lines(code: Uint8Array, start: bigint): Omit<NamedLine, "marked">[] {
    if ("missing" in this.#disassembler) {
      throw new Error(`no disassembler: ${this.#disassembler.missing}`);
    }
    return this.#disassembler.value.disassemble(code, start).map((line) => {
      const { address, target } = line;
      const targetSymbol = target === undefined
        ? undefined
        : this.#nameOf(target);
      return {
        ...line,
        symbol: this.describe(address),
        ...(targetSymbol === undefined ? {} : { targetSymbol }),
      };
    });
  }
}

/** As many bytes as can be read; whole pages are left out at the end. */
function readSome(read: ReadBytes, start: bigint, size: number): Uint8Array {
  try {
    return read(start, size);
  } catch (error) {
    const end = start + BigInt(size);
    const shorter = Number(end - (end - 1n) % BigInt(PAGE_SIZE) - 1n - start);
    if (shorter <= 0) throw error;
    return readSome(read, start, shorter);
  }
}
