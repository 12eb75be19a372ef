/** Half the chance that a bit is 0, in units of 1/2048. */
export const EVEN_CHANCE = 1024;

/** Below this range the next byte is needed. */
const REFILL_BELOW = 2 ** 24;

/**
 * A reader of the bits that LZMA's range coder packed, one fraction of a bit
 * each. Beyond its input it reads zeros: who uses it bounds the bits it asks
 * for, and asks {@linkcode RangeDecoder.finished} at the end.
 *
 * Source: the specification of LZMA (lzma-specification.txt) by Igor Pavlov.
 */
export class RangeDecoder {
  readonly #input: Uint8Array;
  #position = 0;
  #end = 0;
  // Unsigned numbers of 32 bits, kept as signed ones: V8 is faster with them
  #range = 0;
  #code = 0;

  /** @param input What holds the packed bits; may be longer than they are */
  constructor(input: Uint8Array) {
    this.#input = input;
  }

  /**
   * Begins anew.
   *
   * @param start Position of the first packed byte
   * @param end Position after the last one, at most the input's length
   * @returns Whether packed bits can begin so
   */
  start(start: number, end: number): boolean {
    this.#position = start;
    this.#end = end;
    this.#range = -1;
    this.#code = 0;
    const first = this.#next();
    for (let i = 0; i < 4; i++) this.#code = (this.#code << 8) | this.#next();
    return first === 0 && this.#position <= end && this.#code !== -1;
  }

  /** Whether all bytes were used, none was missing, and nothing is left */
  get finished(): boolean {
    return this.#position === this.#end && this.#code === 0;
  }

  /**
   * The next bit, by how often it was 0 before.
   *
   * @param chances Chances of a 0, in units of 1/2048; the one used is adapted
   * @param index Which one to use
   */
  bit(chances: Uint16Array, index: number): 0 | 1 {
    const chance = chances[index]!;
    const bound = Math.imul(this.#range >>> 11, chance);
    let bit: 0 | 1;
    if (this.#code >>> 0 < bound >>> 0) {
      this.#range = bound;
      chances[index] = chance + ((2048 - chance) >> 5);
      bit = 0;
    } else {
      this.#range = (this.#range - bound) | 0;
      this.#code = (this.#code - bound) | 0;
      chances[index] = chance - (chance >> 5);
      bit = 1;
    }
    this.#refill();
    return bit;
  }

  /**
   * A number of a few bits, the highest first.
   *
   * @param chances As for {@linkcode RangeDecoder.bit}
   * @param at Where its `2 ** width` chances begin; the first one is not used
   * @param width Bits
   */
  tree(chances: Uint16Array, at: number, width: number): number {
    // As `bit`, with all at hand: most bits are read here
    let range = this.#range;
    let code = this.#code;
    let node = 1;
    const end = 1 << width;
    while (node < end) {
      const index = at + node;
      const chance = chances[index]!;
      const bound = Math.imul(range >>> 11, chance);
      node <<= 1;
      if (code >>> 0 < bound >>> 0) {
        range = bound;
        chances[index] = chance + ((2048 - chance) >> 5);
      } else {
        range = (range - bound) | 0;
        code = (code - bound) | 0;
        chances[index] = chance - (chance >> 5);
        node |= 1;
      }
      if (range >>> 0 < REFILL_BELOW) {
        range <<= 8;
        code = (code << 8) | this.#next();
      }
    }
    this.#range = range;
    this.#code = code;
    return node - end;
  }

  /** As {@linkcode RangeDecoder.tree}, but the lowest bit first. */
  reversedTree(chances: Uint16Array, at: number, width: number): number {
    let node = 1;
    let value = 0;
    for (let i = 0; i < width; i++) {
      const bit = this.bit(chances, at + node);
      node = (node << 1) | bit;
      value |= bit << i;
    }
    return value;
  }

  /**
   * A number of bits that are as often 0 as 1, the highest first.
   *
   * @param width Bits, at most 31
   */
  direct(width: number): number {
    let value = 0;
    for (let i = 0; i < width; i++) {
      this.#range = this.#range >>> 1;
      value <<= 1;
      if (this.#code >>> 0 >= this.#range) {
        this.#code = (this.#code - this.#range) | 0;
        value |= 1;
      }
      this.#refill();
    }
    return value;
  }

  #refill(): void {
    if (this.#range >>> 0 < REFILL_BELOW) {
      this.#range <<= 8;
      this.#code = (this.#code << 8) | this.#next();
    }
  }

  #next(): number {
    const position = this.#position++;
    return position < this.#end ? this.#input[position]! : 0;
  }
}
