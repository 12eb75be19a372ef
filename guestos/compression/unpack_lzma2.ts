import { LzmaDecoder } from "./lzma_decoder.ts";
import { RangeDecoder } from "./range_decoder.ts";

/** Where LZMA2 data ended, and what they unpacked to ended. */
export interface Lzma2End {
  /** Position after the last packed byte */
  readonly read: number;
  /** Position after the last unpacked byte */
  readonly written: number;
}

/**
 * Unpacks LZMA2 data, chunk by chunk. Each chunk states both its sizes, so
 * that nothing is decoded which does not fit.
 *
 * Source: `xz/src/liblzma/lzma/lzma2_decoder.c` by Igor Pavlov and Lasse
 * Collin.
 *
 * @param packed What holds the data
 * @param from Where they begin, bytes
 * @param output Where to write
 * @param at Position to write at
 * @param dictionarySize How far back a match may reach, bytes
 * @param name What messages call the data
 * @throws {SyntaxError} If they are damaged or do not fit into the output
 */
export function unpackLzma2(
  packed: Uint8Array,
  from: number,
  output: Uint8Array,
  at: number,
  dictionarySize: number,
  name: string,
): Lzma2End {
  const bits = new RangeDecoder(packed);
  const decoder = new LzmaDecoder(bits, output, dictionarySize);
  const byte = (position: number) => {
    const value = packed[position];
    if (value === undefined) throw new SyntaxError(`${name} ends in a block`);
    return value;
  };
  const damaged = () => new SyntaxError(`${name} has damaged LZMA2 data`);
  const uint16 = (position: number) =>
    byte(position) * 256 + byte(position + 1);

  let read = from;
  let written = at;
  let needsDictionary = true;
  let needsParameters = true;
  while (true) {
    const control = byte(read++);
    if (control === 0) return { read, written };
    const isPacked = control >= 0x80;
    if (!isPacked && control > 2) throw damaged();
    if (control === 1 || control >= 0xe0) {
      decoder.resetDictionary(written);
      needsDictionary = false;
      needsParameters = true;
    }
    if (needsDictionary) throw damaged();
    const size = (isPacked ? (control & 0x1f) * 0x10000 : 0) + uint16(read) + 1;
    read += 2;
    const end = written + size;
    if (end > output.length) {
      throw new SyntaxError(
        `${name} unpacks to more than the ${output.length} bytes it states`,
      );
    }
    let packedSize = size;
    if (isPacked) {
      packedSize = uint16(read) + 1;
      read += 2;
      if (control >= 0xc0) {
        if (!decoder.setParameters(byte(read++))) throw damaged();
        needsParameters = false;
      }
      if (needsParameters) throw damaged();
      if (control >= 0xa0) decoder.resetState();
    }
    const packedEnd = read + packedSize;
    if (packedEnd > packed.length) {
      throw new SyntaxError(`${name} ends in a block`);
    }
    if (!isPacked) {
      output.set(packed.subarray(read, packedEnd), written);
    } else if (
      !bits.start(read, packedEnd) || !decoder.decode(written, end) ||
      !bits.finished
    ) {
      throw damaged();
    }
    read = packedEnd;
    written = end;
  }
}
