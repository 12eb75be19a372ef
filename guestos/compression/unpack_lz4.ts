const MAGIC = 0x184c2102;
/** Bytes that a block unpacks to; the last one may unpack to fewer. */
const BLOCK_SIZE = 8 * 1024 * 1024;
const SHORTEST_MATCH = 4;

/**
 * Unpacks a file in the legacy frame format of LZ4, which Linux' build makes
 * (`lz4 -l`). The format has no checksum: damage may show as other bytes.
 *
 * Source: LZ4 Frame Format Description and LZ4 Block Format Description.
 *
 * @param packed The whole file
 * @param size Bytes it has to unpack to; they are allocated at once
 * @param name What messages call it
 * @throws {SyntaxError} If it is damaged or of another size
 */
export function unpackLz4(
  packed: Uint8Array,
  size: number,
  name: string,
): Uint8Array<ArrayBuffer> {
  const error = (what: string) => new SyntaxError(`${name} ${what}`);
  const view = new DataView(
    packed.buffer,
    packed.byteOffset,
    packed.byteLength,
  );
  if (packed.length < 4 || view.getUint32(0, true) !== MAGIC) {
    throw error("does not begin with the magic of LZ4's legacy frames");
  }
  const output = new Uint8Array(size);
  let written = 0;
  let position = 4;
  while (position < packed.length) {
    if (position + 4 > packed.length) throw error("ends too early");
    const blockSize = view.getUint32(position, true);
    position += 4;
    const end = position + blockSize;
    if (end > packed.length) throw error("ends too early");
    if (written % BLOCK_SIZE !== 0) throw error("goes on after its last block");
    const room = output.subarray(written, written + BLOCK_SIZE);
    written += unpackBlock(packed.subarray(position, end), room, error);
    position = end;
  }
  if (written !== size) {
    throw error(
      `unpacks to ${written} bytes, not to the ${size} bytes it states`,
    );
  }
  return output;
}

/** @returns Bytes written */
function unpackBlock(
  packed: Uint8Array,
  output: Uint8Array,
  error: (what: string) => SyntaxError,
): number {
  let read = 0;
  let written = 0;
  const next = () => {
    if (read === packed.length) throw error("has a block that ends too early");
    return packed[read++]!;
  };
  const length = (nibble: number) => {
    let value = nibble;
    if (nibble === 15) {
      let byte: number;
      do {
        byte = next();
        value += byte;
      } while (byte === 255);
    }
    return value;
  };
  const reserve = (size: number) => {
    if (size > output.length - written) {
      throw error(
        `has a block that unpacks to more than the ${output.length} bytes it may`,
      );
    }
  };
  while (true) {
    const token = next();
    const literals = length(token >> 4);
    reserve(literals);
    if (literals > packed.length - read) {
      throw error("has a block that ends too early");
    }
    for (let i = 0; i < literals; i++) output[written++] = packed[read++]!;
    // Only the last sequence has no match
    if (read === packed.length) return written;
    const distance = next() + next() * 256;
    if (distance === 0 || distance > written) {
      throw error("has a match that begins before its block");
    }
    const match = length(token & 15) + SHORTEST_MATCH;
    reserve(match);
    // Byte by byte: a match may repeat what it writes itself
    for (let i = 0; i < match; i++, written++) {
      output[written] = output[written - distance]!;
    }
  }
}
