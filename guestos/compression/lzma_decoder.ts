import { EVEN_CHANCE, type RangeDecoder } from "./range_decoder.ts";

const STATES = 12;
/** States below this one follow a literal. */
const FIRST_MATCH_STATE = 7;
const POSITION_STATES = 16;
const SHORTEST_MATCH = 2;

// The chances of a length: whether it is short or middle, then its bits
const LENGTH_SHORT = 2;
const LENGTH_MIDDLE = LENGTH_SHORT + POSITION_STATES * 8;
const LENGTH_LONG = LENGTH_MIDDLE + POSITION_STATES * 8;
const LENGTH_CHANCES = LENGTH_LONG + 256;

// Where in the one table of chances those of each kind begin
const IS_MATCH = 0;
const IS_REPEATED = IS_MATCH + STATES * POSITION_STATES;
const IS_NOT_LAST = IS_REPEATED + STATES;
const IS_LONG = IS_NOT_LAST + STATES;
const IS_NOT_SECOND = IS_LONG + STATES * POSITION_STATES;
const IS_NOT_THIRD = IS_NOT_SECOND + STATES;
const DISTANCE_SLOT = IS_NOT_THIRD + STATES;
const DISTANCE_MIDDLE = DISTANCE_SLOT + 4 * 64;
const DISTANCE_LOW = DISTANCE_MIDDLE + 115;
const LENGTH = DISTANCE_LOW + 16;
const REPEATED_LENGTH = LENGTH + LENGTH_CHANCES;
const LITERAL = REPEATED_LENGTH + LENGTH_CHANCES;
/** Chances of the literals of one context. */
const LITERAL_CHANCES = 0x300;
/** LZMA2 allows four bits of context for literals, of place and of before. */
const MAX_LITERAL_BITS = 4;

/**
 * A decoder of LZMA as LZMA2 uses it: without a marker of the end, and with
 * its output as dictionary. It does work in proportion to the output asked
 * for, whatever the input is.
 *
 * Source: the specification of LZMA (lzma-specification.txt) by Igor Pavlov.
 */
export class LzmaDecoder {
  readonly #bits: RangeDecoder;
  readonly #output: Uint8Array;
  readonly #dictionarySize: number;
  readonly #chances = new Uint16Array(
    LITERAL + (LITERAL_CHANCES << MAX_LITERAL_BITS),
  );
  #dictionaryStart = 0;
  #state = 0;
  /** Distances of the last matches, less one, the latest first */
  #last = 0;
  #second = 0;
  #third = 0;
  #fourth = 0;
  #literalContextBits = 0;
  #literalPositionMask = 0;
  #positionMask = 0;

  /**
   * @param bits What is decoded
   * @param output Where to write; what a match repeats is taken from it
   * @param dictionarySize How far back a match may reach, bytes
   */
  constructor(bits: RangeDecoder, output: Uint8Array, dictionarySize: number) {
    this.#bits = bits;
    this.#output = output;
    this.#dictionarySize = dictionarySize;
  }

  /** Forgets what was written before a position of the output. */
  resetDictionary(position: number): void {
    this.#dictionaryStart = position;
  }

  /** Forgets all that was learnt from what was decoded so far. */
  resetState(): void {
    this.#chances.fill(EVEN_CHANCE);
    this.#state = 0;
    this.#last = 0;
    this.#second = 0;
    this.#third = 0;
    this.#fourth = 0;
  }

  /**
   * Takes the parameters of what comes, in LZMA's coding as one byte.
   *
   * @returns Whether there are such parameters
   */
  setParameters(byte: number): boolean {
    const contextBits = byte % 9;
    const literalPositionBits = Math.floor(byte / 9) % 5;
    const positionBits = Math.floor(byte / 45);
    if (
      positionBits > 4 || contextBits + literalPositionBits > MAX_LITERAL_BITS
    ) {
      return false;
    }
    this.#literalContextBits = contextBits;
    this.#literalPositionMask = (1 << literalPositionBits) - 1;
    this.#positionMask = (1 << positionBits) - 1;
    return true;
  }

  /**
   * Writes a part of the output.
   *
   * @param from Position to write at
   * @param to Position to write up to, at most the output's length
   * @returns Whether the input fits; if not, what was written is worth nothing
   */
  decode(from: number, to: number): boolean {
    const bits = this.#bits;
    const chances = this.#chances;
    const output = this.#output;
    let position = from;
    while (position < to) {
      const positionState = (position - this.#dictionaryStart) &
        this.#positionMask;
      const place = this.#state * POSITION_STATES + positionState;
      if (bits.bit(chances, IS_MATCH + place) === 0) {
        output[position] = this.#literal(position);
        position++;
        continue;
      }
      const length = bits.bit(chances, IS_REPEATED + this.#state) === 0
        ? this.#match(positionState)
        : this.#repeatedMatch(place, positionState);
      const distance = this.#last + 1;
      const reach = Math.min(
        position - this.#dictionaryStart,
        this.#dictionarySize,
      );
      if (distance > reach || length > to - position) return false;
      // Byte by byte: a match may repeat what it writes itself
      for (const end = position + length; position < end; position++) {
        output[position] = output[position - distance]!;
      }
    }
    return true;
  }

  /** The next literal, for a position of the output. */
  #literal(position: number): number {
    const bits = this.#bits;
    const chances = this.#chances;
    const begun = position > this.#dictionaryStart;
    const before = begun ? this.#output[position - 1]! : 0;
    const place = (position - this.#dictionaryStart) &
      this.#literalPositionMask;
    const context = (place << this.#literalContextBits) +
      (before >> (8 - this.#literalContextBits));
    const at = LITERAL + LITERAL_CHANCES * context;
    const state = this.#state;
    this.#state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
    if (state < FIRST_MATCH_STATE) return bits.tree(chances, at, 8);
    // After a match the byte mostly differs from the one the match ends before
    let likely = this.#output[position - this.#last - 1]!;
    let node = 1;
    while (node < 0x100) {
      const likelyBit = (likely >> 7) & 1;
      likely <<= 1;
      const bit = bits.bit(chances, at + ((1 + likelyBit) << 8) + node);
      node = (node << 1) | bit;
      if (bit !== likelyBit) break;
    }
    while (node < 0x100) node = (node << 1) | bits.bit(chances, at + node);
    return node & 0xff;
  }

  /** Decodes a match of its own distance, and gives its length. */
  #match(positionState: number): number {
    const length = this.#length(LENGTH, positionState);
    this.#fourth = this.#third;
    this.#third = this.#second;
    this.#second = this.#last;
    this.#last = this.#distance(length);
    this.#state = this.#state < FIRST_MATCH_STATE ? 7 : 10;
    return length;
  }

  /** Decodes a match of an earlier one's distance, and gives its length. */
  #repeatedMatch(place: number, positionState: number): number {
    const bits = this.#bits;
    const chances = this.#chances;
    const state = this.#state;
    const afterLiteral = state < FIRST_MATCH_STATE;
    if (bits.bit(chances, IS_NOT_LAST + state) === 0) {
      if (bits.bit(chances, IS_LONG + place) === 0) {
        this.#state = afterLiteral ? 9 : 11;
        return 1;
      }
    } else {
      let distance = this.#second;
      if (bits.bit(chances, IS_NOT_SECOND + state) === 1) {
        distance = this.#third;
        if (bits.bit(chances, IS_NOT_THIRD + state) === 1) {
          distance = this.#fourth;
          this.#fourth = this.#third;
        }
        this.#third = this.#second;
      }
      this.#second = this.#last;
      this.#last = distance;
    }
    this.#state = afterLiteral ? 8 : 11;
    return this.#length(REPEATED_LENGTH, positionState);
  }

  #length(at: number, positionState: number): number {
    const bits = this.#bits;
    const chances = this.#chances;
    if (bits.bit(chances, at) === 0) {
      const short = at + LENGTH_SHORT + positionState * 8;
      return SHORTEST_MATCH + bits.tree(chances, short, 3);
    }
    if (bits.bit(chances, at + 1) === 0) {
      const middle = at + LENGTH_MIDDLE + positionState * 8;
      return SHORTEST_MATCH + 8 + bits.tree(chances, middle, 3);
    }
    return SHORTEST_MATCH + 16 + bits.tree(chances, at + LENGTH_LONG, 8);
  }

  /** The distance of a match of a length, less one. */
  #distance(length: number): number {
    const bits = this.#bits;
    const chances = this.#chances;
    const kind = Math.min(length - SHORTEST_MATCH, 3);
    const slot = bits.tree(chances, DISTANCE_SLOT + kind * 64, 6);
    if (slot < 4) return slot;
    const width = (slot >> 1) - 1;
    // The farthest distances have 32 bits
    const base = (2 + (slot & 1)) << width >>> 0;
    if (slot < 14) {
      const at = DISTANCE_MIDDLE + base - slot;
      return base + bits.reversedTree(chances, at, width);
    }
    return base + bits.direct(width - 4) * 16 +
      bits.reversedTree(chances, DISTANCE_LOW, 4);
  }
}
