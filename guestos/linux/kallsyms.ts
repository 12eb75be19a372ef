import { alignUp } from "../align_up.ts";
import { KernelSymbols } from "./kernel_symbols.ts";

/** Bytes of memory and where they lie. */
export interface MemoryBlock {
  /** Guest virtual address of the first byte, a multiple of 8 */
  readonly start: bigint;
  readonly bytes: Uint8Array;
}

const TOKENS = 256;
/** Tokens `0` to `9`, which every kernel's names use, as they stand there */
const DIGITS = new TextEncoder().encode(
  "0\x001\x002\x003\x004\x005\x006\x007\x008\x009\x00",
);
/**
 * An aligned word of the digits wherever they begin, and how far from their
 * beginning it is, bytes
 */
const DIGIT_WORDS = [
  [0x0031_0030, 0],
  [0x3200_3100, 1],
  [0x0032_0031, 2],
  [0x3300_3200, 3],
] as const;
const CODE_OF_0 = 0x30;
const MAX_TOKEN = 128;
const INDEX_SIZE = 2 * TOKENS;
/** Symbols between two markers */
const MARKED = 256;

const MIN_SYMBOLS = 1000;
const MAX_SYMBOLS = 1_000_000;
/** KSYM_NAME_LEN, and the type */
const MAX_NAME = 513;
/** Bytes of a name and its type, expanded, on average: a kernel has 25 */
const MAX_AVERAGE = 48;
/** Names, markers and sequence numbers take less than this, bytes */
const MAX_TABLES = 32 << 20;
/** Names that are walked over: a true table takes one attempt */
const MAX_WALKED = 5_000_000;
/** Words that could be the number of symbols: some 1000 in a true kernel */
const MAX_COUNTS = 1_000_000;
/** Places that look like the digits in a table of tokens */
const MAX_HITS = 1000;
/** Tables of tokens, each with its index */
const MAX_TOKEN_TABLES = 16;

/** Where the table of tokens lies in a block, and its contents. */
interface Tokens {
  readonly at: number;
  /** First byte after the index of the tokens */
  readonly end: number;
  /** Where each token begins and, last, where the last one's NUL is passed */
  readonly starts: Uint32Array;
}

/** What is left of the work that a search may take. */
interface Budget {
  names: number;
  counts: number;
}

/** Where the compressed names lie in a block. */
interface Names {
  readonly count: number;
  /** Where the number of symbols stands */
  readonly countAt: number;
  readonly at: number;
}

/**
 * Finds and decodes the kernel's table of symbols (kallsyms) in a block of its
 * memory. Nothing but its contents tells where it is, so nothing that the guest
 * says of it is needed; each position and length is bounded by the block.
 *
 * Layouts: `scripts/kallsyms.c` of Linux 4.20 to 7.2, three in all: offsets
 * before the names and a base (before 6.4), offsets after the tokens and a base
 * (from 6.4 on), offsets relative to their own place (7.x).
 *
 * @param block Read-only data of the kernel
 * @returns The symbols in the kernel's order; `undefined` if the block holds no
 *   such table
 */
export function findKallsyms(
  { start, bytes: given }: MemoryBlock,
): KernelSymbols | undefined {
  // All but the names is in aligned words; unsigned ones would be much slower
  const bytes = given.byteOffset % 4 === 0 ? given : given.slice();
  const words = new Int32Array(
    bytes.buffer,
    bytes.byteOffset,
    bytes.length >>> 2,
  );
  const budget: Budget = { names: MAX_WALKED, counts: MAX_COUNTS };
  let tables = 0;
  let hits = 0;
  for (const zeroAt of digits(bytes, words)) {
    if (++hits > MAX_HITS) return undefined;
    const tokens = readTokens(bytes, words, zeroAt);
    if (tokens === undefined) continue;
    if (++tables > MAX_TOKEN_TABLES) return undefined;
    const names = findNames(bytes, words, tokens, budget);
    if (names === undefined) continue;
    const addresses = findAddresses(words, start, tokens, names);
    if (addresses === undefined) continue;
    const symbols = decode(bytes, tokens, names, addresses);
    if (symbols !== undefined) return symbols;
  }
  return undefined;
}

function alignDown(value: number, unit: number): number {
  return Math.floor(value / unit) * unit;
}

/** Where a token `0` stands that `1` to `9` follow. */
function* digits(bytes: Uint8Array, words: Int32Array): Generator<number> {
  for (const [word, distance] of DIGIT_WORDS) {
    // A loop of our own takes much longer until it is compiled
    for (
      let at = words.indexOf(word);
      at >= 0;
      at = words.indexOf(word, at + 1)
    ) {
      const zeroAt = 4 * at - distance;
      if (DIGITS.every((byte, index) => bytes[zeroAt + index] === byte)) {
        yield zeroAt;
      }
    }
  }
}

/** @param zeroAt Where the token `0` stands */
function readTokens(
  bytes: Uint8Array,
  words: Int32Array,
  zeroAt: number,
): Tokens | undefined {
  let end: number | undefined = zeroAt;
  for (let token = CODE_OF_0; token < TOKENS; token++) {
    end = tokenEnd(bytes, end);
    if (end === undefined) return undefined;
  }
  for (const indexAt of [alignUp(end, 4), alignUp(end, 8)]) {
    if (indexAt + INDEX_SIZE > bytes.length) continue;
    const index = new Uint16Array(
      words.buffer,
      words.byteOffset + indexAt,
      TOKENS,
    );
    const start = zeroAt - index[CODE_OF_0]!;
    const starts = tokenStarts(bytes, start, index);
    if (starts?.[TOKENS] === end) {
      return { at: start, end: indexAt + INDEX_SIZE, starts };
    }
  }
  return undefined;
}

/** Where the next token begins; `undefined` if this is none. */
function tokenEnd(bytes: Uint8Array, from: number): number | undefined {
  for (let at = from; at <= from + MAX_TOKEN; at++) {
    const byte = bytes[at];
    if (byte === 0) return at + 1;
    // Names are printable ASCII without spaces: they get onto terminals
    if (byte === undefined || byte < 0x21 || byte > 0x7e) return undefined;
  }
  return undefined;
}

/** The places of all tokens, if the index agrees with them. */
function tokenStarts(
  bytes: Uint8Array,
  start: number,
  index: Uint16Array,
): Uint32Array | undefined {
  const starts = new Uint32Array(TOKENS + 1);
  let at: number | undefined = start;
  for (let token = 0; token < TOKENS; token++) {
    if (start + index[token]! !== at) return undefined;
    starts[token] = at;
    at = tokenEnd(bytes, at);
    if (at === undefined) return undefined;
  }
  starts[TOKENS] = at;
  return starts;
}

/** The names before the tokens: a count, that many names, fitting markers. */
function findNames(
  bytes: Uint8Array,
  words: Int32Array,
  tokens: Tokens,
  budget: Budget,
): Names | undefined {
  const near = markedNames(words, tokens);
  const all = {
    lowest: Math.max(0, tokens.at - MAX_TABLES),
    highest: alignDown(tokens.at, 4) - 8,
  };
  return (near && namesWithin(bytes, words, tokens, near, budget)) ??
    namesWithin(bytes, words, tokens, all, budget);
}

/** Places, in bytes. */
interface Places {
  readonly lowest: number;
  readonly highest: number;
}

/**
 * Where the number of symbols stands if the markers are right before the
 * tokens, as in most kernels: the last one tells how far away it is.
 */
function markedNames(words: Int32Array, tokens: Tokens): Places | undefined {
  let at = (tokens.at >> 2) - 1;
  // Tokens may be aligned to 8 bytes
  if (words[at] === 0) at--;
  const last = words[at];
  if (last === undefined) return undefined;
  const lowest = Math.max(0, at - MAX_SYMBOLS / MARKED);
  while (at > lowest && words[at] !== 0 && words[at - 1]! < words[at]!) at--;
  if (words[at] !== 0) return undefined;
  const highest = alignDown(4 * at - last, 4);
  return {
    lowest: Math.max(0, highest - MARKED * (MAX_NAME + 2) - 16),
    highest,
  };
}

function namesWithin(
  bytes: Uint8Array,
  words: Int32Array,
  tokens: Tokens,
  { lowest, highest }: Places,
  budget: Budget,
): Names | undefined {
  for (let countAt = highest; countAt >= lowest; countAt -= 4) {
    const count = words[countAt >> 2]!;
    if (count < MIN_SYMBOLS || count > MAX_SYMBOLS) continue;
    if (--budget.counts < 0) return undefined;
    const size = 4 * Math.ceil(count / MARKED);
    // Alignment is 8, and 4 in 7.x; 6.1 has numbers of 3 bytes in between
    const sequencesAt = alignDown(tokens.at - 3 * count, 8);
    const fits = (at: number, markersAt: number) =>
      isNames(bytes, words, at, count, markersAt, budget);
    if (
      fits(countAt + 8, alignDown(tokens.at - size, 8)) ||
      fits(countAt + 8, alignDown(sequencesAt - size, 8))
    ) return { count, countAt, at: countAt + 8 };
    if (fits(countAt + 4, alignDown(tokens.at - size, 4))) {
      return { count, countAt, at: countAt + 4 };
    }
    if (budget.names < 0) return undefined;
  }
  return undefined;
}

/** Whether names lie there, as many as wanted, with markers behind them. */
function isNames(
  bytes: Uint8Array,
  words: Int32Array,
  start: number,
  count: number,
  markersAt: number,
  budget: Budget,
): boolean {
  // A name has at least its length and one token
  if (start + 2 * count > markersAt) return false;
  // The last marker excludes most of what does not fit, at no expense
  const last = Math.ceil(count / MARKED) - 1;
  const left = markersAt - start - words[markersAt / 4 + last]!;
  if (left < 0 || left > MARKED * (MAX_NAME + 2) + 8) return false;
  let at = start;
  for (let symbol = 0; symbol < count; symbol++) {
    if (symbol % MARKED === 0) {
      const marker = words[markersAt / 4 + symbol / MARKED];
      if (marker !== at - start) return false;
      budget.names -= MARKED;
      if (budget.names < 0) return false;
    }
    const length = nameLength(bytes, at);
    if (length === 0 || length > MAX_NAME) return false;
    at += length + (length < 0x80 ? 1 : 2);
    if (at > markersAt) return false;
  }
  return markersAt - at < 8;
}

/** How many tokens a name has: ULEB128, of 2 bytes from 128 on and at most. */
function nameLength(bytes: Uint8Array, at: number): number {
  const low = bytes[at]!;
  return low < 0x80 ? low : low & 0x7f | bytes[at + 1]! << 7;
}

/**
 * How the addresses of the symbols are kept.
 *
 * - `absolute per-CPU`: from a base on where negative, else by themselves
 *   (CONFIG_KALLSYMS_ABSOLUTE_PERCPU)
 * - `base`: from a base on, without sign
 * - `place`: from the place of each on
 */
interface Layout {
  readonly kind: "absolute per-CPU" | "base" | "place";
  /** Where the first one is */
  readonly at: number;
  readonly baseAt?: number;
}

/** The addresses in the order of the names, by the layout that makes sense. */
function findAddresses(
  words: Int32Array,
  start: bigint,
  tokens: Tokens,
  { count, countAt }: Names,
): BigUint64Array | undefined {
  const size = 4 * count;
  const after = tokens.end;
  const before = countAt - 8 - alignUp(size, 8);
  const behind = alignUp(after, 8);
  const baseBehind = alignUp(behind + size, 8);
  const layouts: Layout[] = [
    { kind: "absolute per-CPU", at: before, baseAt: countAt - 8 },
    { kind: "absolute per-CPU", at: behind, baseAt: baseBehind },
    { kind: "base", at: before, baseAt: countAt - 8 },
    { kind: "base", at: behind, baseAt: baseBehind },
    // Last: what ascends from a base on does so from its places on as well
    { kind: "place", at: alignUp(after, 4) },
    { kind: "place", at: behind },
  ];
  for (const layout of layouts) {
    const { at, baseAt = 0 } = layout;
    if (at < 0 || at + size > 4 * words.length) continue;
    if (baseAt < 0 || baseAt + 8 > 4 * words.length) continue;
    const addresses = readAddresses(words, start, count, layout);
    if (addresses !== undefined) return addresses;
  }
  return undefined;
}

/**
 * Reads the addresses of one layout. The kernel's table is ascending: per-CPU
 * offsets first, then addresses in the upper half of the address space.
 *
 * @returns `undefined` if they are not
 */
function readAddresses(
  words: Int32Array,
  start: bigint,
  count: number,
  { kind, at, baseAt = 0 }: Layout,
): BigUint64Array | undefined {
  const addresses = new BigUint64Array(count);
  // In words: with BigInt this would take longer than all else
  const halves = new Uint32Array(addresses.buffer);
  const place = start + BigInt(at);
  const [low, high] = kind === "place"
    ? [Number(BigInt.asUintN(32, place)), Number(place >> 32n)]
    : [words[baseAt / 4]! >>> 0, words[baseAt / 4 + 1]! >>> 0];
  let before = -Infinity;
  let first: number | undefined;
  for (let i = 0; i < count; i++) {
    const offset = words[(at >> 2) + i]!;
    if (kind === "absolute per-CPU" && offset >= 0) {
      if (first !== undefined || offset < before) return undefined;
      before = offset;
      halves[2 * i] = offset;
      continue;
    }
    const value = low +
      (kind === "place"
        ? 4 * i + offset
        : kind === "base"
        ? offset >>> 0
        : -1 - offset);
    if (first === undefined) {
      // The base is the lowest address that is not absolute
      if (kind !== "place" && value !== low) return undefined;
      first = value;
    } else if (value < before) return undefined;
    const valueHigh = high + Math.floor(value / 2 ** 32);
    if (valueHigh < 2 ** 31 || valueHigh >= 2 ** 32) return undefined;
    before = value;
    halves[2 * i] = value;
    halves[2 * i + 1] = valueHigh;
  }
  // Else it would be a table of zeros
  return first !== undefined && before > first ? addresses : undefined;
}

function decode(
  bytes: Uint8Array,
  { starts }: Tokens,
  { count, at: start }: Names,
  addresses: BigUint64Array,
): KernelSymbols | undefined {
  const expanded = new Uint8Array(MAX_AVERAGE * count);
  const ends = new Uint32Array(count);
  let to = 0;
  let at = start;
  for (let i = 0; i < count; i++) {
    const before = to;
    const length = nameLength(bytes, at);
    at += length < 0x80 ? 1 : 2;
    for (const stop = at + length; at < stop; at++) {
      const token = bytes[at]!;
      const end = starts[token + 1]! - 1;
      for (let from = starts[token]!; from < end; from++) {
        expanded[to++] = bytes[from]!;
      }
    }
    const size = to - before;
    if (size < 2 || size > MAX_NAME || to > expanded.length) return undefined;
    ends[i] = to;
  }
  return new KernelSymbols(expanded.subarray(0, to), ends, addresses);
}
