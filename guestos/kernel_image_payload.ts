import { holds, MAGICS } from "./compression/magic.ts";
import { unpackGzip } from "./compression/unpack_gzip.ts";
import { unpackLz4 } from "./compression/unpack_lz4.ts";
import { unpackXz } from "./compression/unpack_xz.ts";
import { unpackZstd } from "./compression/unpack_zstd.ts";
import { MAX_FILE_SIZE } from "./read_bounded_file.ts";

/** A way that Linux' build packs a kernel. */
interface Compression {
  readonly name: keyof typeof MAGICS;
  /** Bytes at its end that are not the compression's own: the size */
  readonly trailer?: number;
  readonly unpack?: (
    packed: Uint8Array,
    size: number,
    name: string,
  ) => Uint8Array;
}

const SIZE_SIZE = 4;

/** From `linux/arch/x86/boot/compressed/Makefile` and `linux/lib/decompress.c` */
const COMPRESSIONS: readonly Compression[] = [
  // Its own last bytes are the size
  { name: "gzip", trailer: 0, unpack: unpackGzip },
  { name: "xz", unpack: unpackXz },
  { name: "lz4", unpack: unpackLz4 },
  { name: "zstd", unpack: unpackZstd },
  { name: "bzip2" },
  { name: "lzma" },
  { name: "lzo" },
];

const ELF_MAGIC = [0x7f, 0x45, 0x4c, 0x46];
const BOOT_MAGIC = [0x48, 0x64, 0x72, 0x53];

// Positions in the header of the boot protocol
const SETUP_SECTORS = 0x1f1;
const MAGIC = 0x202;
const VERSION = 0x206;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const HEADER_END = 0x250;

const SECTOR_SIZE = 512;
/** What a header that says 0 means. */
const DEFAULT_SETUP_SECTORS = 4;
/** The first version whose header tells of the payload: 2.08. */
const MIN_VERSION = 0x0208;

/**
 * The kernel proper in a kernel file: the file itself if it is an ELF file, the
 * unpacked payload if it is a bzImage for x86, packed by gzip, xz, lz4 or zstd.
 * What comes after the ELF file in such a payload is the kernel's list of
 * relocations.
 *
 * Source: The Linux/x86 Boot Protocol (Documentation/arch/x86/boot.rst).
 *
 * @param bytes The whole file
 * @param path What messages call it
 * @returns At most 512 MiB; the file itself or new bytes
 * @throws {SyntaxError} If it is neither, is damaged, is packed in another way
 *   or unpacks to more
 */
export function kernelImagePayload(
  bytes: Uint8Array,
  path: string,
): Uint8Array {
  if (holds(bytes, 0, ELF_MAGIC)) return bytes;
  if (!holds(bytes, MAGIC, BOOT_MAGIC)) {
    throw new SyntaxError(
      `${path} is no kernel file: it is neither an ELF file nor a bzImage`,
    );
  }
  const payload = packedPayload(bytes, path);
  const compression = COMPRESSIONS.find(({ name }) =>
    holds(payload, 0, MAGICS[name])
  );
  if (compression === undefined) {
    throw new SyntaxError(`The payload of ${path} is packed in an unknown way`);
  }
  const { name, trailer = SIZE_SIZE, unpack } = compression;
  if (unpack === undefined) {
    throw new SyntaxError(
      `The payload of ${path} is packed by ${name}; gzip, xz, lz4 and zstd are understood`,
    );
  }
  const size = uint32(payload, payload.length - SIZE_SIZE);
  if (size === 0 || size > MAX_FILE_SIZE) {
    throw new SyntaxError(
      `The payload of ${path} states to unpack to ${size} bytes; from 1 to ${MAX_FILE_SIZE} are unpacked`,
    );
  }
  return unpack(
    payload.subarray(0, payload.length - trailer),
    size,
    `The ${name} payload of ${path}`,
  );
}

/** The packed payload of a bzImage, with what states its size. */
function packedPayload(bytes: Uint8Array, path: string): Uint8Array {
  if (bytes.length < HEADER_END) {
    throw new SyntaxError(`${path} is a bzImage that ends in its header`);
  }
  const version = uint32(bytes, VERSION) & 0xffff;
  if (version < MIN_VERSION) {
    throw new SyntaxError(
      `${path} is a bzImage whose boot protocol, ${version >> 8}.${
        String(version & 0xff).padStart(2, "0")
      }, tells no payload; 2.08 is the first one that does`,
    );
  }
  const setupSectors = bytes[SETUP_SECTORS]! || DEFAULT_SETUP_SECTORS;
  const start = (setupSectors + 1) * SECTOR_SIZE +
    uint32(bytes, PAYLOAD_OFFSET);
  const length = uint32(bytes, PAYLOAD_LENGTH);
  if (start + length > bytes.length) {
    throw new SyntaxError(`The payload of ${path} reaches beyond its end`);
  }
  if (length <= 2 * SIZE_SIZE) {
    throw new SyntaxError(`The payload of ${path} has ${length} bytes only`);
  }
  return bytes.subarray(start, start + length);
}

function uint32(bytes: Uint8Array, at: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(at, true);
}
