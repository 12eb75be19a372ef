import { pipeThrough } from "./pipe_through.ts";

/** A way to pack a kernel that the program understands. */
type Compression = "gzip" | "xz" | "lz4" | "zstd";

/** The commands of Linux' build, from `linux/scripts/Makefile.lib`. */
const COMMANDS: Readonly<Record<Compression, [string, ...string[]]>> = {
  gzip: ["gzip", "-n", "-f", "-9"],
  xz: ["xz", "--check=crc32", "--x86", "--lzma2=dict=32MiB"],
  lz4: ["lz4", "-l", "-9", "-", "-"],
  zstd: ["zstd", "-22", "--ultra"],
};

/**
 * Packs a kernel as Linux' build does.
 *
 * @param kernel An ELF file, and perhaps what comes after it
 * @returns The payload of a bzImage: packed, and then its size
 */
export async function packedKernel(
  kernel: Uint8Array<ArrayBuffer>,
  compression: Compression,
): Promise<Uint8Array<ArrayBuffer>> {
  const packed = await pipeThrough(kernel, ...COMMANDS[compression]);
  // What gzip writes ends with the size already
  if (compression === "gzip") return packed;
  const payload = new Uint8Array(packed.length + 4);
  payload.set(packed);
  new DataView(payload.buffer).setUint32(packed.length, kernel.length, true);
  return payload;
}
