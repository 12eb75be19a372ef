import { node } from "../node.ts";

/** Blocks that a file may have: a kernel has one, or one per 96 MiB */
export const MAX_BLOCKS = 1024;

/** Bytes of a number in XZ's variable coding, at most. */
const MAX_NUMBER_SIZE = 9;

/** A reader of the parts of an .xz file; it never reads beyond its end. */
export class XzReader {
  readonly #bytes: Uint8Array;
  readonly #name: string;
  /** Where the next part begins, bytes */
  position = 0;

  /**
   * @param bytes What is read
   * @param name What messages call it
   */
  constructor(bytes: Uint8Array, name: string) {
    this.#bytes = bytes;
    this.#name = name;
  }

  /** Whether all was read */
  get atEnd(): boolean {
    return this.position === this.#bytes.length;
  }

  /**
   * @param part What is wrong, as the end of a sentence that begins with the
   *   name of what is read
   */
  error(part: string): SyntaxError {
    return new SyntaxError(`${this.#name} ${part}`);
  }

  /**
   * The next bytes.
   *
   * @param size How many
   * @throws {SyntaxError} If there are fewer
   */
  bytes(size: number): Uint8Array {
    const end = this.position + size;
    if (end > this.#bytes.length) throw this.error("ends too early");
    const bytes = this.#bytes.subarray(this.position, end);
    this.position = end;
    return bytes;
  }

  byte(): number {
    return this.bytes(1)[0]!;
  }

  /** A number of four bytes, the lowest first. */
  uint32(): number {
    const [a, b, c, d] = this.bytes(4);
    return (a! | b! << 8 | c! << 16 | d! << 24) >>> 0;
  }

  /**
   * A number in XZ's variable coding. Above 2^53 it is not exact, but then no
   * size is equal to it.
   */
  number(): number {
    let value = 0;
    for (let i = 0; i < MAX_NUMBER_SIZE; i++) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) {
        // There is one way only to write a number
        if (byte === 0 && i > 0) break;
        return value;
      }
    }
    throw this.error("has a malformed number");
  }

  /**
   * Reads zeros.
   *
   * @param size How many
   * @throws {SyntaxError} If something else is there
   */
  zeros(size: number): void {
    if (this.bytes(size).some((byte) => byte !== 0)) {
      throw this.error("has padding that is not zero");
    }
  }

  /**
   * Reads the CRC32 of some bytes.
   *
   * @param bytes What it has to be of
   * @param part What the bytes are, for the message
   * @throws {SyntaxError} If it is another one
   */
  crc32(bytes: Uint8Array, part: string): void {
    if (this.uint32() !== node.zlib.crc32(bytes)) {
      throw this.error(`has a wrong checksum of ${part}`);
    }
  }
}
