import { unpackUpTo } from "./compression/unpack_natively.ts";
import { unpackXz } from "./compression/unpack_xz.ts";
import { xzSize } from "./compression/xz_size.ts";
import { node } from "./node.ts";

/** The largest module that is unpacked, bytes */
const MAX_SIZE = 256 << 20;

/** Ways that distributions pack modules, by the first bytes */
const GZIP = [0x1f, 0x8b];
const XZ = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];

/**
 * Unpacks the file of a kernel module (`.ko`, `.ko.gz`, `.ko.xz`, `.ko.zst`).
 *
 * @param bytes The whole file
 * @param path What messages call it
 * @returns At most 256 MiB; the file itself if it is not packed
 * @throws {SyntaxError} If it is damaged or unpacks to more
 */
export function unpackModule(bytes: Uint8Array, path: string): Uint8Array {
  const begins = (magic: readonly number[]) =>
    magic.every((byte, index) => bytes[index] === byte);
  if (begins(GZIP)) {
    return unpackUpTo(node.zlib.gunzipSync, bytes, MAX_SIZE, path);
  }
  if (begins(ZSTD)) {
    return unpackUpTo(node.zlib.zstdDecompressSync, bytes, MAX_SIZE, path);
  }
  if (!begins(XZ)) return bytes;
  const size = xzSize(bytes, path);
  if (size > MAX_SIZE) {
    throw new SyntaxError(`${path} unpacks to more than ${MAX_SIZE} bytes`);
  }
  return unpackXz(bytes, size, path);
}
