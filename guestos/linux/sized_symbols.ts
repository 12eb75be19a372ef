import { firstIndex } from "../first_index.ts";
import type { GuestSymbol, SymbolSource } from "../symbol_table.ts";
import type { KernelSymbols } from "./kernel_symbols.ts";

/** What lies between two symbols further apart belongs to neither, bytes */
const MAX_SYMBOL = 2n ** 28n;
/** Names of one address that are chosen from: a forged kernel may have more */
const MAX_NAMES = 100;

/** The kernel's table has no sizes: a symbol reaches to the next address. */
export class SizedSymbols implements SymbolSource {
  readonly #symbols: KernelSymbols;

  constructor(symbols: KernelSymbols) {
    this.#symbols = symbols;
  }

  get size(): number {
    return this.#symbols.size;
  }

  get(name: string): GuestSymbol | undefined {
    const index = this.#symbols.find(name);
    return index === undefined ? undefined : this.#symbol(index);
  }

  find(address: bigint): GuestSymbol | undefined {
    const end = this.#behind(address);
    if (end === 0) return undefined;
    const start = this.#symbols.address(end - 1);
    const names: GuestSymbol[] = [];
    for (let index = end - 1; index >= 0; index--) {
      if (this.#symbols.address(index) !== start) break;
      if (names.push(this.#symbol(index)) === MAX_NAMES) break;
    }
    return names.reduce((best, symbol) =>
      isBetter(symbol, best) ? symbol : best
    );
  }

  #symbol(index: number): GuestSymbol {
    const { name, address } = this.#symbols.at(index);
    const next = this.#behind(address);
    const distance = next === this.size
      ? 0n
      : this.#symbols.address(next) - address;
    return {
      name,
      address,
      size: distance < MAX_SYMBOL ? Number(distance) : 0,
      global: this.#symbols.isGlobal(index),
    };
  }

  /** The first position behind an address. */
  #behind(address: bigint): number {
    return firstIndex(
      this.size,
      (index) => this.#symbols.address(index) > address,
    );
  }
}

/** Of the names of one address, a global one tells more, then the first. */
function isBetter(a: GuestSymbol, b: GuestSymbol): boolean {
  return a.global === b.global ? a.name < b.name : a.global === true;
}
