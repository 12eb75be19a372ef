import { holds, MAGICS } from "./compression/magic.ts";
import { unpackUpTo } from "./compression/unpack_natively.ts";
import { unpackXz } from "./compression/unpack_xz.ts";
import { xzSize } from "./compression/xz_size.ts";
import { node } from "./node.ts";

/** The largest module that is unpacked, bytes */
const MAX_SIZE = 256 << 20;

/**
 * Unpacks the file of a kernel module (`.ko`, `.ko.gz`, `.ko.xz`, `.ko.zst`).
 *
 * @param bytes The whole file
 * @param path What messages call it
 * @returns At most 256 MiB; the file itself if it is not packed
 * @throws {SyntaxError} If it is damaged or unpacks to more
 */
export function unpackModule(bytes: Uint8Array, path: string): Uint8Array {
  if (holds(bytes, 0, MAGICS.gzip)) {
    return unpackUpTo(node.zlib.gunzipSync, bytes, MAX_SIZE, path);
  }
  if (holds(bytes, 0, MAGICS.zstd)) {
    return unpackUpTo(node.zlib.zstdDecompressSync, bytes, MAX_SIZE, path);
  }
  if (!holds(bytes, 0, MAGICS.xz)) return bytes;
  const size = xzSize(bytes, path);
  if (size > MAX_SIZE) {
    throw new SyntaxError(`${path} unpacks to more than ${MAX_SIZE} bytes`);
  }
  return unpackXz(bytes, size, path);
}
