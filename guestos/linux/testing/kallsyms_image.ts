import type { KernelSymbol } from "../kernel_symbols.ts";

/**
 * How a kernel lays its table out: as 5.10, as Debian's 6.1 (with the order of
 * the names before the tokens), as 6.4 to 6.12, as 7.2.
 */
export type KallsymsLayout = "5.10" | "6.1" | "6.12" | "7.2";

/** What the table holds, and how. */
export interface KallsymsImageOptions {
  layout: KallsymsLayout;
  /** Ascending; of types `A` and `a` are those that are absolute */
  symbols: readonly KernelSymbol[];
  /** Guest virtual address of the first byte: a multiple of 8, or of 4 in 7.2 */
  start: bigint;
  /** CONFIG_KALLSYMS_ABSOLUTE_PERCPU; not in 7.2 */
  absolutePerCpu?: boolean;
}

/** The table, and where its parts are: positions from its first byte. */
export interface KallsymsImage {
  bytes: Uint8Array<ArrayBuffer>;
  countAt: number;
  namesAt: number;
  markersAt: number;
  tokensAt: number;
  indexAt: number;
  offsetsAt: number;
}

const encoder = new TextEncoder();

/**
 * Builds a kernel's table of symbols for the tests, as `write_src` of
 * `scripts/kallsyms.c` does in each version.
 *
 * @throws {TypeError} If a name is too long to be written
 */
export function kallsymsImage(
  { layout, symbols, start, absolutePerCpu = true }: KallsymsImageOptions,
): KallsymsImage {
  const { names, tokens } = compress(
    symbols.map(({ type, name }) => encoder.encode(type + name)),
  );
  const markers: number[] = [];
  const stream: number[] = [];
  for (const [index, name] of names.entries()) {
    if (index % 256 === 0) markers.push(stream.length);
    stream.push(...lengthBytes(name.length), ...name);
  }
  const tokenStarts: number[] = [];
  const tokenBytes: number[] = [];
  for (const token of tokens) {
    tokenStarts.push(tokenBytes.length);
    tokenBytes.push(...token, 0);
  }
  const base = symbols.find(({ address }) => address >= 1n << 63n)!.address;
  const unit = layout === "7.2" ? 4 : 8;

  const bytes: number[] = [];
  /** Begins a part and says where. */
  const label = (part: ArrayLike<number> = []): number => {
    while (bytes.length % unit !== 0) bytes.push(0);
    const at = bytes.length;
    for (let index = 0; index < part.length; index++) bytes.push(part[index]!);
    return at;
  };
  const offsets = () => {
    const at = label();
    for (const [index, { address }] of symbols.entries()) {
      const offset = layout === "7.2"
        ? address - (start + BigInt(at + 4 * index))
        : !absolutePerCpu
        ? address - base
        : address < 1n << 63n
        ? address
        : base - address - 1n;
      bytes.push(...littleEndian(offset, 4));
    }
    return at;
  };
  const sequences = () => {
    const order = [...symbols.keys()].sort((a, b) => {
      const [left, right] = [symbols[a]!.name, symbols[b]!.name];
      return left < right ? -1 : left > right ? 1 : a - b;
    });
    label(order.flatMap((at) => [at >> 16 & 0xff, at >> 8 & 0xff, at & 0xff]));
  };
  const before = layout === "5.10" || layout === "6.1";

  let offsetsAt = 0;
  if (before) {
    offsetsAt = offsets();
    label(littleEndian(base, 8));
  }
  const countAt = label(littleEndian(BigInt(symbols.length), 4));
  const namesAt = label(stream);
  const markersAt = label(
    markers.flatMap((marker) => littleEndian(BigInt(marker), 4)),
  );
  if (layout === "6.1") sequences();
  const tokensAt = label(tokenBytes);
  const indexAt = label(
    tokenStarts.flatMap((at) => littleEndian(BigInt(at), 2)),
  );
  if (!before) {
    offsetsAt = offsets();
    if (layout === "6.12") label(littleEndian(base, 8));
    sequences();
  }
  return {
    bytes: Uint8Array.from(bytes),
    countAt,
    namesAt,
    markersAt,
    tokensAt,
    indexAt,
    offsetsAt,
  };
}

/** ULEB128, as `write_src` has it. */
function lengthBytes(length: number): number[] {
  if (length <= 0x7f) return [length];
  if (length > 0x3fff) throw new TypeError("The name is too long");
  return [length & 0x7f | 0x80, length >> 7];
}

function littleEndian(value: bigint, size: number): number[] {
  return Array.from(
    { length: size },
    (_, index) => Number(BigInt.asUintN(8, value >> BigInt(8 * index))),
  );
}

/** What a token stands for: two others, or itself. */
type Pair = readonly [number, number];

/**
 * Replaces the most frequent pair of tokens by one that is not used yet, until
 * all are (`optimize_result`). One that stays unused is empty.
 */
function compress(
  given: readonly Uint8Array[],
): { names: number[][]; tokens: number[][] } {
  const names = given.map((name) => [...name]);
  const used = new Set(names.flat());
  const pairs = new Map<number, Pair>();
  for (let token = 255; token >= 0; token--) {
    if (used.has(token)) continue;
    const best = mostFrequent(names);
    if (best === undefined) break;
    pairs.set(token, best);
    for (const name of names) replace(name, best, token);
  }
  const expand = (token: number): number[] => {
    const pair = pairs.get(token);
    return pair === undefined ? [token] : pair.flatMap(expand);
  };
  return {
    names,
    tokens: Array.from(
      { length: 256 },
      (_, token) => pairs.has(token) || used.has(token) ? expand(token) : [],
    ),
  };
}

function mostFrequent(names: readonly (readonly number[])[]): Pair | undefined {
  const counts = new Uint32Array(1 << 16);
  let best = 0;
  for (const name of names) {
    for (let at = 0; at + 1 < name.length; at++) {
      const pair = name[at]! << 8 | name[at + 1]!;
      if (++counts[pair]! > counts[best]!) best = pair;
    }
  }
  return counts[best]! > 1 ? [best >> 8, best & 0xff] : undefined;
}

function replace(name: number[], [first, second]: Pair, token: number): void {
  let to = 0;
  for (let at = 0; at < name.length; at++) {
    const found = name[at] === first && name[at + 1] === second;
    name[to++] = found ? token : name[at]!;
    if (found) at++;
  }
  name.length = to;
}
