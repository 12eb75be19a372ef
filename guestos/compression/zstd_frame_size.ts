const MAGIC = 0xfd2fb528;
const HEADER_START = 5;
const BLOCK_HEADER_SIZE = 3;
const CHECKSUM_SIZE = 4;

/** Bytes of the number of the dictionary, by the code for it. */
const DICTIONARY_SIZES = [0, 1, 2, 4] as const;
/** Bytes of the size of the content, by the code for it. */
const CONTENT_SIZES = [0, 2, 4, 8] as const;

const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;

/**
 * The size of a Zstandard frame, by the headers of its blocks: nothing is
 * unpacked.
 *
 * Source: RFC 8878, section 3.1.1.
 *
 * @param bytes What begins with the frame
 * @returns Bytes; `undefined` if no whole frame is there
 */
export function zstdFrameSize(bytes: Uint8Array): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < HEADER_START || view.getUint32(0, true) !== MAGIC) {
    return undefined;
  }
  const descriptor = bytes[HEADER_START - 1]!;
  const isSingleSegment = (descriptor & 0x20) !== 0;
  const contentCode = descriptor >> 6;
  let size = HEADER_START + (isSingleSegment ? 0 : 1) +
    DICTIONARY_SIZES[(descriptor & 3) as 0 | 1 | 2 | 3] +
    (isSingleSegment && contentCode === 0
      ? 1
      : CONTENT_SIZES[contentCode as 0 | 1 | 2 | 3]);
  let isLast = false;
  while (!isLast) {
    if (size + BLOCK_HEADER_SIZE > bytes.length) return undefined;
    const header = view.getUint16(size, true) | bytes[size + 2]! << 16;
    size += BLOCK_HEADER_SIZE;
    isLast = (header & 1) !== 0;
    const type = (header >> 1) & 3;
    if (type === RESERVED_BLOCK) return undefined;
    size += type === RLE_BLOCK ? 1 : header >> 3;
  }
  if (descriptor & 4) size += CHECKSUM_SIZE;
  return size <= bytes.length ? size : undefined;
}
