import { node } from "../node.ts";
import { unpackNatively } from "./unpack_natively.ts";

/**
 * Unpacks a gzip file.
 *
 * @param packed The whole file
 * @param size Bytes it has to unpack to
 * @param name What messages call it
 * @throws {SyntaxError} If it is damaged or of another size
 */
export function unpackGzip(
  packed: Uint8Array,
  size: number,
  name: string,
): Uint8Array {
  return unpackNatively(node.zlib.gunzipSync, packed, size, name);
}
