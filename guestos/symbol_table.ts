import { firstIndex } from "./first_index.ts";

/** A name for an address in the guest's kernel. */
export interface GuestSymbol {
  readonly name: string;
  /** Guest virtual address */
  readonly address: bigint;
  /** Bytes; 0 where unknown */
  readonly size: number;
  /** Whether other files of the kernel see the name; `false` where left out */
  readonly global?: boolean;
}

/** Symbols that can be looked up both ways. */
export interface SymbolSource {
  /** How many symbols there are. */
  readonly size: number;
  /** See {@linkcode SymbolTable.get}. */
  get(name: string): GuestSymbol | undefined;
  /**
   * The symbol that tells an address: the innermost one whose size covers it,
   * else the nearest one below; if that one lies within another, the outermost
   * one.
   */
  find(address: bigint): GuestSymbol | undefined;
}

/** Most symbols that a table holds; a large Linux kernel has 300,000. */
const MAX_SYMBOLS = 1_000_000;

/**
 * How far after a symbol's end an address may lie and still be told by it:
 * assembler labels mostly have no size, and tables are padded to pages.
 */
const MAX_DISTANCE = 0x10000n;

/** No symbol, in the list of enclosing symbols */
const NONE = -1;

/** The names of a guest kernel's addresses, for looking up both ways. */
export class SymbolTable {
  readonly #source: SymbolSource;

  /**
   * @param symbols In any order, at most 1,000,000; or what looks them up by
   *   itself
   * @throws {RangeError} If there are too many, or an address or a size is
   *   not one of a 64-bit machine
   */
  constructor(symbols: readonly GuestSymbol[] | SymbolSource) {
    this.#source = "get" in symbols ? symbols : new SymbolList(symbols);
  }

  /** How many symbols there are. */
  get size(): number {
    return this.#source.size;
  }

  /**
   * The guest virtual address of a symbol.
   *
   * @param name What the kernel calls it
   * @returns `undefined` if there is no such symbol
   */
  address(name: string): bigint | undefined {
    return this.get(name)?.address;
  }

  /**
   * The symbol of a name. Where several have it, a global one is preferred,
   * then the lowest address.
   *
   * @param name What the kernel calls it
   * @returns `undefined` if there is no such symbol
   */
  get(name: string): GuestSymbol | undefined {
    return this.#source.get(name);
  }

  /**
   * The symbol whose size covers an address.
   *
   * @returns `undefined` if there is none
   */
  covering(address: bigint): GuestSymbol | undefined {
    const symbol = this.#source.find(address);
    return symbol !== undefined && covers(symbol, address) ? symbol : undefined;
  }

  /**
   * An address as people read it: `shutdown+0x12`. The innermost symbol whose
   * size covers the address tells it. Where there is none, the nearest symbol
   * below does, if near: if that one lies within another, the outermost one.
   *
   * @param address Guest virtual address
   * @returns Symbol and offset; the bare address in hexadecimal if no symbol
   *   fits
   */
  describe(address: bigint): string {
    const symbol = this.#source.find(address);
    if (symbol === undefined) return hex(address);
    const distance = address - symbol.address - BigInt(symbol.size);
    return distance < MAX_DISTANCE ? withOffset(symbol, address) : hex(address);
  }
}

/** Symbols in a list. */
class SymbolList implements SymbolSource {
  /** Ascending by address; at one address the best name comes last */
  readonly #symbols: readonly GuestSymbol[];
  readonly #addresses: BigUint64Array;
  /** For each symbol the nearest one before it that reaches over its start */
  readonly #enclosing: Int32Array;
  #byName: Map<string, GuestSymbol> | undefined;

  constructor(symbols: readonly GuestSymbol[]) {
    if (symbols.length > MAX_SYMBOLS) {
      throw new RangeError(
        `A symbol table holds at most ${MAX_SYMBOLS} symbols, not ${symbols.length}`,
      );
    }
    this.#symbols = sorted(symbols);
    this.#addresses = new BigUint64Array(symbols.length);
    for (const [i, { address }] of this.#symbols.entries()) {
      this.#addresses[i] = address;
    }
    this.#enclosing = enclosing(this.#symbols);
  }

  get size(): number {
    return this.#symbols.length;
  }

  get(name: string): GuestSymbol | undefined {
    this.#byName ??= byName(this.#symbols);
    return this.#byName.get(name);
  }

  find(address: bigint): GuestSymbol | undefined {
    let symbol: GuestSymbol | undefined;
    for (
      let i = this.#lastAtOrBelow(address);
      i !== NONE;
      i = this.#enclosing[i]!
    ) {
      symbol = this.#symbols[i]!;
      if (covers(symbol, address)) return symbol;
    }
    return symbol;
  }

  /** The last symbol that does not start after `address`. */
  #lastAtOrBelow(address: bigint): number {
    const addresses = this.#addresses;
    return firstIndex(addresses.length, (i) => addresses[i]! > address) - 1;
  }
}

function sorted(symbols: readonly GuestSymbol[]): GuestSymbol[] {
  const addresses = new BigUint64Array(symbols.length);
  for (const [i, { name, address, size }] of symbols.entries()) {
    if (BigInt.asUintN(64, address) !== address) {
      throw new RangeError(`Symbol ${name} has no 64-bit address: ${address}`);
    }
    if (!Number.isSafeInteger(size) || size < 0) {
      throw new RangeError(`Symbol ${name} has an impossible size: ${size}`);
    }
    addresses[i] = address;
  }
  // Comparing 32-bit halves is several times as fast as comparing bigints
  const halves = new Uint32Array(addresses.buffer);
  const order = Array.from(symbols.keys());
  order.sort((a, b) =>
    halves[2 * a + 1]! - halves[2 * b + 1]! ||
    halves[2 * a]! - halves[2 * b]! ||
    compareQuality(symbols[a]!, symbols[b]!)
  );
  return order.map((i) => symbols[i]!);
}

/** Orders the names of one address, from the least telling to the most. */
function compareQuality(a: GuestSymbol, b: GuestSymbol): number {
  if (a.size !== b.size) {
    if (a.size === 0) return -1;
    if (b.size === 0) return 1;
    return b.size - a.size;
  }
  const global = Number(a.global ?? false) - Number(b.global ?? false);
  if (global !== 0) return global;
  return a.name < b.name ? 1 : a.name > b.name ? -1 : 0;
}

function enclosing(symbols: readonly GuestSymbol[]): Int32Array {
  const result = new Int32Array(symbols.length);
  // The symbols that may still reach further than the present address. One
  // that ended does not come back, so the whole is linear in their number.
  const open: number[] = [];
  for (const [i, symbol] of symbols.entries()) {
    while (open.length > 0 && !covers(symbols[open.at(-1)!]!, symbol.address)) {
      open.pop();
    }
    result[i] = open.at(-1) ?? NONE;
    if (symbol.size > 0) open.push(i);
  }
  return result;
}

function covers(symbol: GuestSymbol, address: bigint): boolean {
  return symbol.size > 0 && Number(address - symbol.address) < symbol.size;
}

function withOffset({ name, address: start }: GuestSymbol, address: bigint) {
  return address === start ? name : `${name}+${hex(address - start)}`;
}

function byName(symbols: readonly GuestSymbol[]): Map<string, GuestSymbol> {
  const result = new Map<string, GuestSymbol>();
  for (const symbol of symbols) {
    const known = result.get(symbol.name);
    if (known === undefined || (!known.global && symbol.global)) {
      result.set(symbol.name, symbol);
    }
  }
  return result;
}

function hex(value: bigint): string {
  return `0x${value.toString(16)}`;
}
