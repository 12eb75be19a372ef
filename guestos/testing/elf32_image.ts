import { type NoteImage, noteImage } from "./note_image.ts";

const HEADER_SIZE = 52;
const SEGMENT_SIZE = 32;

/**
 * Writes an ELF file of 32 bits for i386 with one segment of notes, as GRUB for
 * PVH guests has it.
 *
 * @param note What the only note says
 */
export function elf32Image(note: NoteImage): Uint8Array<ArrayBuffer> {
  const content = noteImage(note);
  const contentAt = HEADER_SIZE + SEGMENT_SIZE;
  const bytes = new Uint8Array(contentAt + content.length);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 3, true);
  view.setUint32(20, 1, true);
  view.setUint32(28, HEADER_SIZE, true);
  view.setUint16(40, HEADER_SIZE, true);
  view.setUint16(42, SEGMENT_SIZE, true);
  view.setUint16(44, 1, true);
  view.setUint32(HEADER_SIZE, 4, true);
  view.setUint32(HEADER_SIZE + 4, contentAt, true);
  view.setUint32(HEADER_SIZE + 16, content.length, true);
  view.setUint32(HEADER_SIZE + 28, 4, true);
  bytes.set(content, contentAt);
  return bytes;
}
