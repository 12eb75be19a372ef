/** What unpacks in `node:zlib`, and throws above a number of bytes. */
type Unpacker = (
  packed: Uint8Array,
  options: { maxOutputLength: number; chunkSize: number },
) => Uint8Array;

/** `Z_MIN_CHUNK` in `node:zlib` */
const MIN_CHUNK = 64;
/** Gathered at once where the size is not known, bytes */
const CHUNK = 1 << 20;

/**
 * Unpacks by what the runtime brings along.
 *
 * @param unpack What to use
 * @param packed All packed bytes
 * @param limit Most bytes they may unpack to, at least 1
 * @param name What messages call the packed bytes
 * @param chunkSize Bytes that are gathered at once
 * @throws {SyntaxError} If they are damaged or unpack to more
 */
export function unpackUpTo(
  unpack: Unpacker,
  packed: Uint8Array,
  limit: number,
  name: string,
  chunkSize = CHUNK,
): Uint8Array {
  try {
    const bytes = unpack(packed, {
      maxOutputLength: limit,
      chunkSize: Math.max(chunkSize, MIN_CHUNK),
    });
    // As it looks elsewhere: a Buffer prints and slices in its own way
    return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new SyntaxError(
      code === "ERR_BUFFER_TOO_LARGE"
        ? `${name} unpacks to more than ${limit} bytes`
        : `${name} is damaged: ${message}`,
      { cause: error },
    );
  }
}

/**
 * The same for bytes whose size is stated.
 *
 * @param size Bytes they have to unpack to, at least 1; no more are unpacked
 * @throws {SyntaxError} If they are damaged or of another size
 */
export function unpackNatively(
  unpack: Unpacker,
  packed: Uint8Array,
  size: number,
  name: string,
): Uint8Array {
  // In one piece: thousands of small ones are what took longest
  const bytes = unpackUpTo(unpack, packed, size, name, size);
  if (bytes.length !== size) {
    throw new SyntaxError(
      `${name} unpacks to ${bytes.length} bytes, not to the ${size} bytes it states`,
    );
  }
  return bytes;
}
