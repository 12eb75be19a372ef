import { undoX86Filter } from "./undo_x86_filter.ts";
import { unpackLzma2 } from "./unpack_lzma2.ts";
import { MAX_BLOCKS, XzReader } from "./xz_reader.ts";

const HEADER_MAGIC = "\xfd7zXZ\0";
const FOOTER_MAGIC = "YZ";
const CRC_SIZE = 4;

/** The only kind of check that Linux' own decoder knows. */
const CRC32_CHECK = 1;
const CHECKS: ReadonlyMap<number, string> = new Map([
  [0, "none"],
  [4, "CRC64"],
  [10, "SHA-256"],
]);

const X86_FILTER = 0x04;
const LZMA2_FILTER = 0x21;
/** The number that stands for the largest dictionary, 4 GiB. */
const MAX_DICTIONARY_BITS = 40;

/** The sizes of a block, as the index lists them. */
interface BlockSizes {
  /** Bytes from its header to its check, without the padding between */
  readonly packed: number;
  /** Bytes it unpacks to */
  readonly unpacked: number;
}

/** What the header of a block says. */
interface BlockHeader {
  /** Bytes of its data, where stated */
  readonly packed: number | undefined;
  /** Bytes it unpacks to, where stated */
  readonly unpacked: number | undefined;
  /** Whether it went through the filter for x86 code */
  readonly filtered: boolean;
  /** How far back its matches may reach, bytes */
  readonly dictionarySize: number;
}

/**
 * Unpacks an .xz file as Linux' build makes it: one stream with CRC32 checks,
 * LZMA2, and perhaps the filter for x86 code.
 *
 * Source: The .xz File Format, version 1.2.1.
 *
 * @param packed The whole file
 * @param size Bytes it has to unpack to; they are allocated at once
 * @param name What messages call it
 * @throws {SyntaxError} If it is damaged, of another size, or uses what Linux'
 *   own decoder does not know
 */
export function unpackXz(
  packed: Uint8Array,
  size: number,
  name: string,
): Uint8Array<ArrayBuffer> {
  const reader = new XzReader(packed, name);
  const flags = readHeader(reader);
  const output = new Uint8Array(size);
  const blocks: BlockSizes[] = [];
  let written = 0;
  // A block begins with the size of its header, the index with a zero
  while (packed[reader.position] !== 0) {
    if (blocks.length === MAX_BLOCKS) {
      throw reader.error(`has more than ${MAX_BLOCKS} blocks`);
    }
    const block = readBlock(reader, packed, output, written, name);
    blocks.push(block);
    written += block.unpacked;
  }
  const indexSize = readIndex(reader, packed, blocks);
  readFooter(reader, flags, indexSize);
  if (!reader.atEnd) throw reader.error("goes on after its end");
  if (written !== size) {
    throw reader.error(
      `unpacks to ${written} bytes, not to the ${size} bytes it states`,
    );
  }
  return output;
}

/** @returns The flags of the stream, which its footer repeats */
function readHeader(reader: XzReader): Uint8Array {
  if (text(reader.bytes(HEADER_MAGIC.length)) !== HEADER_MAGIC) {
    throw reader.error("does not begin with XZ's magic");
  }
  const flags = reader.bytes(2);
  reader.crc32(flags, "its header");
  const [version, check] = flags;
  if (version !== 0) throw reader.error("is of an unknown version of XZ");
  if (check !== CRC32_CHECK) {
    const kind = CHECKS.get(check!) ?? `number ${check}`;
    throw reader.error(`has checks that are not CRC32: ${kind}`);
  }
  return flags;
}

function readBlock(
  reader: XzReader,
  packed: Uint8Array,
  output: Uint8Array,
  at: number,
  name: string,
): BlockSizes {
  const start = reader.position;
  const header = readBlockHeader(reader, name);
  const { read, written } = unpackLzma2(
    packed,
    reader.position,
    output,
    at,
    header.dictionarySize,
    name,
  );
  const dataSize = read - reader.position;
  const unpacked = written - at;
  if (
    (header.packed ?? dataSize) !== dataSize ||
    (header.unpacked ?? unpacked) !== unpacked
  ) {
    throw reader.error("has a block of another size than its header states");
  }
  reader.position = read;
  reader.zeros(padding(read - start));
  const content = output.subarray(at, written);
  if (header.filtered) undoX86Filter(content);
  reader.crc32(content, "a block");
  return { packed: read - start + CRC_SIZE, unpacked };
}

function readBlockHeader(reader: XzReader, name: string): BlockHeader {
  const start = reader.position;
  const size = reader.byte() * 4;
  reader.position = start;
  const bytes = reader.bytes(size);
  reader.crc32(bytes, "the header of a block");

  const header = new XzReader(bytes, `${name}, in the header of a block,`);
  header.position = 1;
  const flags = header.byte();
  const packed = flags & 0x40 ? header.number() : undefined;
  const unpacked = flags & 0x80 ? header.number() : undefined;
  const filters = Array.from({ length: (flags & 3) + 1 }, () => ({
    kind: header.number(),
    parameters: header.bytes(header.number()),
  }));
  header.zeros(size - header.position);

  const [last, first, ...others] = filters.reverse();
  const filtered = first?.kind === X86_FILTER && first.parameters.length === 0;
  const dictionaryBits = last?.kind === LZMA2_FILTER &&
      last.parameters.length === 1
    ? last.parameters[0]!
    : Infinity;
  if (
    (flags & 0x3c) !== 0 || filtered !== (first !== undefined) ||
    others.length > 0 || dictionaryBits > MAX_DICTIONARY_BITS
  ) {
    throw reader.error("has a block that is packed by more than x86 and LZMA2");
  }
  return {
    packed,
    unpacked,
    filtered,
    dictionarySize: (2 + dictionaryBits % 2) *
      2 ** (Math.floor(dictionaryBits / 2) + 11),
  };
}

/** @returns Bytes of the index */
function readIndex(
  reader: XzReader,
  packed: Uint8Array,
  blocks: readonly BlockSizes[],
): number {
  const start = reader.position;
  reader.zeros(1);
  const listed = reader.number() === blocks.length &&
    blocks.every((block) =>
      reader.number() === block.packed && reader.number() === block.unpacked
    );
  if (!listed) throw reader.error("has an index of other blocks");
  reader.zeros(padding(reader.position - start));
  reader.crc32(packed.subarray(start, reader.position), "its index");
  return reader.position - start;
}

function readFooter(
  reader: XzReader,
  flags: Uint8Array,
  indexSize: number,
): void {
  const start = reader.position;
  reader.position = start + CRC_SIZE;
  const content = reader.bytes(6);
  const end = reader.position;
  reader.position = start;
  reader.crc32(content, "its footer");
  const statedSize = (reader.uint32() + 1) * 4;
  const statedFlags = reader.bytes(2);
  reader.position = end;
  if (
    statedSize !== indexSize || text(statedFlags) !== text(flags) ||
    text(reader.bytes(FOOTER_MAGIC.length)) !== FOOTER_MAGIC
  ) {
    throw reader.error("has a footer that does not fit");
  }
}

/** Bytes that lack to a multiple of four. */
function padding(size: number): number {
  return (4 - size % 4) % 4;
}

function text(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}
