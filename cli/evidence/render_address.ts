/** An address or a word, as 16 digits. */
export function renderAddress(address: bigint): string {
  return address.toString(16).padStart(16, "0");
}
