/** One symbol of the kernel's own table. */
export interface KernelSymbol {
  readonly name: string;
  /** As nm tells it: `T`, `t`, `D`, `A` and so on */
  readonly type: string;
  /** Guest virtual address, or an offset in the per-CPU area */
  readonly address: bigint;
}

/** None, where positions are linked */
const NONE = -1;
/** First letter of the types that only their own file sees */
const LOCAL = "a".charCodeAt(0);

const encoder = new TextEncoder();

/** Where the symbols of each hash are linked. */
interface Index {
  /** First position by hash, or none */
  readonly heads: Int32Array;
  /** The next position of the same hash by position, or none */
  readonly next: Int32Array;
}

/**
 * A kernel's own table of symbols, in its order: ascending by address. There
 * are up to 200,000 in a kernel, and few are asked for: each is made when it
 * is.
 */
export class KernelSymbols implements Iterable<KernelSymbol> {
  /** Type and name of each symbol, one behind the other, in ASCII */
  readonly #words: Uint8Array;
  /** Where those of each symbol end */
  readonly #ends: Uint32Array;
  readonly #addresses: BigUint64Array;
  #text: string | undefined;
  #index: Index | undefined;
  /** Names are hostile: nobody shall know which of them have one hash */
  readonly #seed = crypto.getRandomValues(new Int32Array(1))[0]!;

  /**
   * @param words Type and name of each symbol, one behind the other, in ASCII
   * @param ends Where those of each symbol end
   * @param addresses As many, ascending
   */
  constructor(
    words: Uint8Array,
    ends: Uint32Array,
    addresses: BigUint64Array,
  ) {
    this.#words = words;
    this.#ends = ends;
    this.#addresses = addresses;
  }

  /**
   * Makes a table of symbols.
   *
   * @param symbols Ascending by address, types and names in ASCII
   */
  static from(symbols: Iterable<KernelSymbol>): KernelSymbols {
    const all = [...symbols];
    const ends = new Uint32Array(all.length);
    let end = 0;
    for (const [index, { name }] of all.entries()) {
      end += 1 + name.length;
      ends[index] = end;
    }
    return new KernelSymbols(
      encoder.encode(all.map(({ type, name }) => type + name).join("")),
      ends,
      BigUint64Array.from(all, ({ address }) => address),
    );
  }

  /** How many there are. */
  get size(): number {
    return this.#ends.length;
  }

  /** Where type and name of a symbol begin. */
  #start(index: number): number {
    return index === 0 ? 0 : this.#ends[index - 1]!;
  }

  /** The symbol at a position. */
  at(index: number): KernelSymbol {
    this.#text ??= new TextDecoder().decode(this.#words);
    const start = this.#start(index);
    return {
      name: this.#text.substring(start + 1, this.#ends[index]!),
      type: this.#text.charAt(start),
      address: this.#addresses[index]!,
    };
  }

  *[Symbol.iterator](): Generator<KernelSymbol> {
    for (let index = 0; index < this.size; index++) yield this.at(index);
  }

  /** Type of the symbol at a position, as nm tells it: a letter's code. */
  type(index: number): number {
    return this.#words[this.#start(index)]!;
  }

  /** Whether other files of the kernel see the symbol at a position. */
  isGlobal(index: number): boolean {
    return this.type(index) < LOCAL;
  }

  /** Guest virtual address of the symbol at a position. */
  address(index: number): bigint {
    return this.#addresses[index]!;
  }

  /**
   * How far each address is from a base, in the table's order: as numbers they
   * are much faster. Those far away are not exact.
   */
  distances(base: bigint): Float64Array {
    const halves = new Uint32Array(
      this.#addresses.buffer,
      this.#addresses.byteOffset,
      2 * this.size,
    );
    const low = Number(BigInt.asUintN(32, base));
    const high = Number(base >> 32n);
    const distances = new Float64Array(this.size);
    for (let index = 0; index < distances.length; index++) {
      distances[index] = (halves[2 * index + 1]! - high) * 2 ** 32 +
        (halves[2 * index]! - low);
    }
    return distances;
  }

  /** Whether the name at a position is the one given, or begins so. */
  #isNamed(index: number, name: Uint8Array, begins: boolean): boolean {
    const start = this.#start(index) + 1;
    const length = this.#ends[index]! - start;
    if (begins ? length < name.length : length !== name.length) return false;
    for (let i = 0; i < name.length; i++) {
      if (this.#words[start + i] !== name[i]) return false;
    }
    return true;
  }

  /** Positions of the symbols of a name, ascending. */
  *#named(name: string): Generator<number> {
    const wanted = encoder.encode(name);
    const { heads, next } = this.#index ??= this.#link();
    const slot = hash(wanted, 0, wanted.length, this.#seed) &
      (heads.length - 1);
    for (let index = heads[slot]!; index !== NONE; index = next[index]!) {
      if (this.#isNamed(index, wanted, false)) yield index;
    }
  }

  /**
   * Position of the symbol of a name: of those that other files of the kernel
   * see, else of all, the first one.
   *
   * @param fits Which positions are asked for
   */
  find(name: string, fits = (_: number) => true): number | undefined {
    let first: number | undefined;
    for (const index of this.#named(name)) {
      if (!fits(index)) continue;
      if (this.isGlobal(index)) return index;
      first ??= index;
    }
    return first;
  }

  /** Positions of the symbols whose names begin so, ascending. */
  *beginning(prefix: string): Generator<number> {
    const wanted = encoder.encode(prefix);
    for (let index = 0; index < this.size; index++) {
      if (this.#isNamed(index, wanted, true)) yield index;
    }
  }

  #link(): Index {
    const heads = new Int32Array(2 ** (33 - Math.clz32(this.size))).fill(NONE);
    const next = new Int32Array(this.size);
    const words = this.#words;
    // From the last one on, so that each list ascends
    for (let index = this.size - 1; index >= 0; index--) {
      const from = this.#start(index) + 1;
      const slot = hash(words, from, this.#ends[index]!, this.#seed) &
        (heads.length - 1);
      next[index] = heads[slot]!;
      heads[slot] = index;
    }
    return { heads, next };
  }
}

/** FNV-1a with a secret start, mixed. */
function hash(
  bytes: Uint8Array,
  from: number,
  to: number,
  seed: number,
): number {
  let value = seed;
  for (let at = from; at < to; at++) {
    value = Math.imul(value ^ bytes[at]!, 0x01000193);
  }
  return value ^ value >>> 15;
}
