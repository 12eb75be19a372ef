const MAX_NAME = 512;

/**
 * Where a name ends that a NUL terminates.
 *
 * @param from Position of its first byte
 * @param limit Position that the NUL must lie before
 * @returns `undefined` if it does not end in time or is not printable ASCII:
 *   names get onto terminals
 */
export function nameEnd(
  bytes: Uint8Array,
  from: number,
  limit: number,
): number | undefined {
  const last = Math.min(limit, from + MAX_NAME + 1);
  for (let i = from; i < last; i++) {
    const byte = bytes[i]!;
    if (byte === 0) return i;
    if (byte < 0x21 || byte > 0x7e) return undefined;
  }
  return undefined;
}
