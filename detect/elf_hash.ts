/**
 * The hash function of ELF's symbol hash tables, over a range of memory: a
 * checksum, not a cryptographic digest.
 *
 * The four high bits, which the definition folds back and clears at each step,
 * are cleared only at the end here: the next shift drops them anyway.
 *
 * Source: System V Application Binary Interface, chapter 5, "Hash Table"
 *
 * @param bytes What is hashed; any length
 * @returns An unsigned number of 28 bits; 0 for no bytes
 */
export function elfHash(bytes: Uint8Array): number {
  let hash = 0;
  for (let i = 0; i < bytes.length; i++) {
    hash = ((hash << 4) + bytes[i]!) | 0;
    hash ^= (hash >>> 24) & 0xf0;
  }
  return hash & 0x0fffffff;
}
