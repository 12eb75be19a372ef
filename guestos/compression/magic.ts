/** The first bytes of what is packed, by how Linux' build calls the way. */
export const MAGICS = {
  gzip: [0x1f, 0x8b],
  xz: [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00],
  lz4: [0x02, 0x21, 0x4c, 0x18],
  zstd: [0x28, 0xb5, 0x2f, 0xfd],
  bzip2: [0x42, 0x5a, 0x68],
  lzma: [0x5d, 0x00, 0x00],
  lzo: [0x89, 0x4c, 0x5a, 0x4f],
} as const satisfies Record<string, readonly number[]>;

/** Whether bytes have others at a place. */
export function holds(
  bytes: Uint8Array,
  at: number,
  magic: readonly number[],
): boolean {
  return magic.every((byte, i) => bytes[at + i] === byte);
}
