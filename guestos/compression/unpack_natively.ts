/** What unpacks in `node:zlib`, and throws above a number of bytes. */
type Unpacker = (
  packed: Uint8Array,
  options: { maxOutputLength: number },
) => Uint8Array;

/**
 * Unpacks by what the runtime brings along.
 *
 * @param unpack What to use
 * @param packed All packed bytes
 * @param limit Most bytes they may unpack to, at least 1
 * @param name What messages call the packed bytes
 * @throws {SyntaxError} If they are damaged or unpack to more
 */
export function unpackUpTo(
  unpack: Unpacker,
  packed: Uint8Array,
  limit: number,
  name: string,
): Uint8Array {
  try {
    const bytes = unpack(packed, { maxOutputLength: limit });
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
  const bytes = unpackUpTo(unpack, packed, size, name);
  if (bytes.length !== size) {
    throw new SyntaxError(
      `${name} unpacks to ${bytes.length} bytes, not to the ${size} bytes it states`,
    );
  }
  return bytes;
}
