import type { LinuxImage } from "./linux_image.ts";

const NT_GNU_BUILD_ID = 3;
const HEADER_SIZE = 12;

/**
 * The build id of a kernel, hexadecimal, from the notes in its read-only data.
 *
 * @returns `undefined` if it has none
 */
export function buildId(image: LinuxImage): string | undefined {
  const notes = image.between("__start_notes", "__stop_notes");
  if (notes === undefined || notes.size > 65_536) return undefined;
  const end = Math.min(notes.offset + notes.size, image.bytes.length);
  for (let at = notes.offset; at + HEADER_SIZE <= end;) {
    const ownerSize = image.view.getUint32(at, true);
    const size = image.view.getUint32(at + 4, true);
    const owner = at + HEADER_SIZE;
    const from = owner + Math.ceil(ownerSize / 4) * 4;
    const next = from + Math.ceil(size / 4) * 4;
    if (next > end) return undefined;
    const isBuildId = image.view.getUint32(at + 8, true) === NT_GNU_BUILD_ID &&
      String.fromCharCode(...image.bytes.subarray(owner, owner + 3)) === "GNU";
    if (isBuildId) return image.bytes.subarray(from, from + size).toHex();
    at = next;
  }
  return undefined;
}
