import { node } from "../node.ts";
import { unpackNatively } from "./unpack_natively.ts";
import { zstdFrameSize } from "./zstd_frame_size.ts";

/**
 * Unpacks one Zstandard frame.
 *
 * @param packed The whole frame
 * @param size Bytes it has to unpack to
 * @param name What messages call it
 * @throws {SyntaxError} If it is damaged or of another size
 */
export function unpackZstd(
  packed: Uint8Array,
  size: number,
  name: string,
): Uint8Array {
  // The runtime takes a frame that was cut short for a whole one
  const frameSize = zstdFrameSize(packed);
  if (frameSize === undefined) {
    throw new SyntaxError(`${name} is no whole Zstandard frame`);
  }
  if (frameSize < packed.length) {
    throw new SyntaxError(`${name} goes on after its end`);
  }
  return unpackNatively(node.zlib.zstdDecompressSync, packed, size, name);
}
