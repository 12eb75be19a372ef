/** A short name for these contents: the start of their SHA-256, as hex. */
export async function contentKey(
  contents: readonly (string | Uint8Array)[],
): Promise<string> {
  const digests: number[] = [];
  for (const content of contents) {
    const bytes = typeof content === "string"
      ? new TextEncoder().encode(content)
      : new Uint8Array(content);
    digests.push(...await sha256(bytes));
  }
  // A digest of digests keeps ["ab", "c"] apart from ["a", "bc"].
  const key = await sha256(new Uint8Array(digests));
  return key.toHex().slice(0, 16);
}

async function sha256(bytes: Uint8Array<ArrayBuffer>) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}
