import { MAX_BLOCKS, XzReader } from "./xz_reader.ts";

/** Bytes of the footer: checksum, size of the index, flags, magic */
const FOOTER_SIZE = 12;

/**
 * Bytes that an .xz file of one stream states to unpack to, by its index.
 *
 * Source: The .xz File Format, version 1.2.1, sections 2.1.2 and 4.
 *
 * @param packed The whole file
 * @param name What messages call it
 * @throws {SyntaxError} If there is no such index; whether it is right is seen
 *   when the file is unpacked
 */
export function xzSize(packed: Uint8Array, name: string): number {
  const reader = new XzReader(packed, name);
  reader.position = Math.max(0, packed.length - FOOTER_SIZE + 4);
  const indexSize = (reader.uint32() + 1) * 4;
  reader.position = packed.length - FOOTER_SIZE - indexSize;
  if (reader.position < 0) throw reader.error("has no index");
  reader.zeros(1);
  const count = reader.number();
  if (count > MAX_BLOCKS) {
    throw reader.error(`has more than ${MAX_BLOCKS} blocks`);
  }
  let size = 0;
  for (let block = 0; block < count; block++) {
    reader.number();
    size += reader.number();
  }
  return size;
}
