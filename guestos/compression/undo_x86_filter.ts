/**
 * How far before its end an operand was touched, bytes, by which of the three
 * bytes before its opcode were opcodes: one, or none.
 */
const TOUCHED = [0, 1, 2, undefined, 3] as const;

/**
 * Undoes the x86 filter of XZ (BCJ) in place: it turns the targets of `call`
 * and `jmp`, which the filter made absolute, into relative ones again.
 *
 * Source: `linux/lib/xz/xz_dec_bcj.c` by Lasse Collin and Igor Pavlov.
 *
 * @param bytes All that was filtered in one go, from its beginning
 */
export function undoX86Filter(bytes: Uint8Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let last = -1;
  let mask = 0;
  for (let i = 0; i < bytes.length - 4; i++) {
    if ((bytes[i]! & 0xfe) !== 0xe8) continue;
    const gap = i - last;
    last = i;
    if (gap > 3) {
      mask = 0;
    } else {
      mask = (mask << (gap - 1)) & 7;
      const touched = TOUCHED[mask];
      if (
        touched === undefined ||
        mask !== 0 && isSignByte(bytes[i + 4 - touched]!)
      ) {
        mask = (mask << 1) | 1;
        continue;
      }
    }
    if (!isSignByte(bytes[i + 4]!)) {
      mask = (mask << 1) | 1;
      continue;
    }
    const absolute = view.getUint32(i + 1, true);
    const end = i + 5;
    let relative = absolute - end;
    if (mask !== 0) {
      const shift = 8 * TOUCHED[mask]!;
      // Cannot be needed twice: the byte would have been refused above
      if (isSignByte((relative >> (24 - shift)) & 0xff)) {
        relative = (relative ^ (2 ** (32 - shift) - 1)) - end;
      }
    }
    // A target has 25 bits: the highest one is the sign of the rest
    view.setInt32(i + 1, (relative << 7) >> 7, true);
    i += 4;
  }
}

function isSignByte(byte: number): boolean {
  return byte === 0x00 || byte === 0xff;
}
