/** What a synthetic note of an ELF file says. */
export interface NoteImage {
  owner: string;
  type: number;
  /** Text gets a NUL behind it. */
  description: string | Uint8Array;
}

/** Writes a note as ELF files of 32 and of 64 bits hold it. */
export function noteImage(
  { owner, type, description }: NoteImage,
): Uint8Array<ArrayBuffer> {
  const ownerBytes = new TextEncoder().encode(`${owner}\0`);
  const content = typeof description === "string"
    ? new TextEncoder().encode(`${description}\0`)
    : description;
  const contentAt = 12 + Math.ceil(ownerBytes.length / 4) * 4;
  const bytes = new Uint8Array(contentAt + Math.ceil(content.length / 4) * 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, ownerBytes.length, true);
  view.setUint32(4, content.length, true);
  view.setUint32(8, type, true);
  bytes.set(ownerBytes, 12);
  bytes.set(content, contentAt);
  return bytes;
}
