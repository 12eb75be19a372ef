import type { KernelFile } from "../kernel_file.ts";

const END = 0;

/**
 * Relocates a kernel's image as its decompressor does: the list behind the ELF
 * file, read backwards, tells the places. First those of 32 bits, then (where
 * per-CPU data is linked to 0) those of 32 bits that are relative to that, then
 * those of 64 bits; each part ends with 0.
 *
 * Source: `handle_relocations` in arch/x86/boot/compressed/misc.c.
 *
 * @param image What is loaded; it is changed
 * @param linkBase Address that the image is linked to
 * @param delta By how much it runs higher than it is linked to
 * @param kernel The file
 * @throws {SyntaxError} If there is no such list, or it leaves the image
 */
export function relocateImage(
  image: Uint8Array,
  linkBase: bigint,
  delta: bigint,
  { path, elf, payload }: KernelFile,
): void {
  const data = new DataView(image.buffer, image.byteOffset, image.byteLength);
  const list = new DataView(
    payload.buffer,
    payload.byteOffset,
    payload.byteLength,
  );
  const start = elf.end;
  // Addresses are sign-extended from 32 bits
  const base = Number(BigInt.asIntN(32, linkBase));
  const shift = Number(delta);
  let at = start + Math.floor((payload.length - start) / 4) * 4 - 4;

  const next = (width: number): number | undefined => {
    if (at < start) {
      throw new SyntaxError(`${path} has no list of relocations`);
    }
    const place = list.getInt32(at, true);
    at -= 4;
    if (place === END) return undefined;
    const offset = place - base;
    if (offset < 0 || offset + width > image.length) {
      throw new SyntaxError(`${path} relocates what is outside its image`);
    }
    return offset;
  };

  for (let offset; (offset = next(4)) !== undefined;) {
    data.setInt32(offset, data.getInt32(offset, true) + shift, true);
  }
  // Two parts or three: what is left after the next tells
  const second = at;
  let parts = 0;
  for (let left = second; left >= start; left -= 4) {
    if (list.getInt32(left, true) === END) parts++;
  }
  if (parts === 2) {
    for (let offset; (offset = next(4)) !== undefined;) {
      data.setInt32(offset, data.getInt32(offset, true) - shift, true);
    }
  }
  for (let offset; (offset = next(8)) !== undefined;) {
    data.setBigUint64(
      offset,
      data.getBigUint64(offset, true) + delta,
      true,
    );
  }
}
