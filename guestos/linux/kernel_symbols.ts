/** One symbol of the kernel's own table. */
export interface KernelSymbol {
  readonly name: string;
  /** As nm tells it: `T`, `t`, `D`, `A` and so on */
  readonly type: string;
  /** Guest virtual address, or an offset in the per-CPU area */
  readonly address: bigint;
}

/** Types and names as a kernel has them: packed, and in ASCII. */
export interface PackedNames {
  /** Holds tokens and names; it must not change */
  readonly bytes: Uint8Array;
  /** Where each of 256 tokens begins and, last, what follows their NULs */
  readonly tokens: Uint32Array;
  /** Where type and name of each symbol begin: a byte is a token */
  readonly starts: Uint32Array;
  /** Where they end */
  readonly ends: Uint32Array;
}

/** Where the symbols of each hash are linked. */
interface Index {
  /** What hashes are made with */
  readonly factor: number;
  /** First position by hash, or none */
  readonly heads: Int32Array;
  /** The next position of the same hash by position, or none */
  readonly next: Int32Array;
}

/** None, where positions are linked */
const NONE = -1;
/** Different bytes, and so tokens */
const BYTES = 256;
/** First letter of the types that only their own file sees */
const LOCAL = "a".charCodeAt(0);
/** Symbols that are compared for one name: a forged table may have many alike */
const MAX_COMPARED = 10_000;

/**
 * A kernel's own table of symbols, in its order: ascending by address. There
 * are up to 200,000 in a kernel, and few are asked for: each is unpacked when
 * it is.
 */
export class KernelSymbols implements Iterable<KernelSymbol> {
  readonly #names: PackedNames;
  readonly #addresses: BigUint64Array;
  /** What each token stands for */
  readonly #texts: readonly string[];
  #index: Index | undefined;

  /**
   * @param names Types and names
   * @param addresses As many, ascending
   */
  constructor(names: PackedNames, addresses: BigUint64Array) {
    this.#names = names;
    this.#addresses = addresses;
    const { bytes, tokens } = names;
    this.#texts = Array.from(
      { length: BYTES },
      (_, token) =>
        String.fromCharCode(
          ...bytes.subarray(tokens[token]!, tokens[token + 1]! - 1),
        ),
    );
  }

  /**
   * Makes a table of symbols.
   *
   * @param symbols Ascending by address; types and names in ASCII
   */
  static from(symbols: Iterable<KernelSymbol>): KernelSymbols {
    const all = [...symbols];
    const text = all.map(({ type, name }) => type + name).join("");
    // Each byte is a token of its own
    const bytes = new Uint8Array(2 * BYTES + text.length);
    for (let byte = 0; byte < BYTES; byte++) bytes[2 * byte] = byte;
    new TextEncoder().encodeInto(text, bytes.subarray(2 * BYTES));
    const starts = new Uint32Array(all.length);
    const ends = new Uint32Array(all.length);
    let at = 2 * BYTES;
    for (const [index, { name }] of all.entries()) {
      starts[index] = at;
      at += 1 + name.length;
      ends[index] = at;
    }
    const tokens = Uint32Array.from({ length: BYTES + 1 }, (_, i) => 2 * i);
    return new KernelSymbols(
      { bytes, tokens, starts, ends },
      BigUint64Array.from(all, ({ address }) => address),
    );
  }

  /** How many there are. */
  get size(): number {
    return this.#addresses.length;
  }

  /** The symbol at a position. */
  at(index: number): KernelSymbol {
    const word = this.#word(index);
    return {
      name: word.slice(1),
      type: word.charAt(0),
      address: this.#addresses[index]!,
    };
  }

  /** Type and name of the symbol at a position. */
  #word(index: number): string {
    const { bytes, starts, ends } = this.#names;
    let word = "";
    for (let at = starts[index]!; at < ends[index]!; at++) {
      word += this.#texts[bytes[at]!]!;
    }
    return word;
  }

  *[Symbol.iterator](): Generator<KernelSymbol> {
    for (let index = 0; index < this.size; index++) yield this.at(index);
  }

  /** Type of the symbol at a position, as nm tells it: a letter's code. */
  type(index: number): number {
    const { bytes, tokens, starts } = this.#names;
    return bytes[tokens[bytes[starts[index]!]!]!]!;
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

  /**
   * Position of the symbol of a name: of those that other files of the kernel
   * see, else of all, the first one.
   *
   * @param fits Which positions are asked for
   */
  find(name: string, fits = (_: number) => true): number | undefined {
    const { factor, heads, next } = this.#index ??= this.#link();
    let hash = 0;
    for (let i = 0; i < name.length; i++) {
      hash = Math.imul(hash, factor) + name.charCodeAt(i) | 0;
    }
    let first: number | undefined;
    let index = heads[slot(hash, heads)]!;
    for (let count = 0; index !== NONE && count < MAX_COMPARED; count++) {
      if (fits(index) && this.#word(index).slice(1) === name) {
        if (this.isGlobal(index)) return index;
        first ??= index;
      }
      index = next[index]!;
    }
    return first;
  }

  /** Positions of the symbols whose names begin so, ascending. */
  *beginning(prefix: string): Generator<number> {
    const [first] = prefix;
    const { bytes, starts } = this.#names;
    for (let index = 0; index < this.size; index++) {
      // Few need to be unpacked to be told apart
      const text = this.#texts[bytes[starts[index]!]!]!;
      if (text.length > 1 && text[1] !== first) continue;
      if (this.#word(index).startsWith(prefix, 1)) yield index;
    }
  }

  /**
   * Links the symbols by hashes of their names. A hash is a polynomial of the
   * bytes, so that it can be put together from those of tokens.
   */
  #link(): Index {
    const { bytes, starts, ends } = this.#names;
    // Nobody shall know beforehand which names have the same hash
    const factor = crypto.getRandomValues(new Int32Array(1))[0]! | 1;
    const hashes = new Int32Array(BYTES);
    /** Without the first byte, which is the type */
    const tails = new Int32Array(BYTES);
    const powers = new Int32Array(BYTES).fill(1);
    for (const [token, text] of this.#texts.entries()) {
      for (let i = 0; i < text.length; i++) {
        const byte = text.charCodeAt(i);
        hashes[token] = Math.imul(hashes[token]!, factor) + byte;
        if (i > 0) tails[token] = Math.imul(tails[token]!, factor) + byte;
        powers[token] = Math.imul(powers[token]!, factor);
      }
    }
    const heads = new Int32Array(2 ** (33 - Math.clz32(this.size))).fill(NONE);
    const next = new Int32Array(this.size);
    // From the last one on, so that those of one hash ascend
    for (let index = this.size - 1; index >= 0; index--) {
      const start = starts[index]!;
      const end = ends[index]!;
      let hash = tails[bytes[start]!]!;
      for (let at = start + 1; at < end; at++) {
        const token = bytes[at]!;
        hash = Math.imul(hash, powers[token]!) + hashes[token]! | 0;
      }
      const head = slot(hash, heads);
      next[index] = heads[head]!;
      heads[head] = index;
    }
    return { factor, heads, next };
  }
}

/** Which of the heads a hash leads to: the low bits alone depend on few bytes. */
function slot(hash: number, heads: Int32Array): number {
  return (hash ^ hash >>> 15) & heads.length - 1;
}
