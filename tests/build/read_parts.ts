/** One part of an executable made with the method "bundle". */
export interface Part {
  /** Where it starts in the file, in bytes. */
  offset: number;
  /** Its length, in bytes. */
  size: number;
}

/** The parts in the order of the file; `launcher/layout.h` has the layout. */
export interface Parts {
  launcher: Part;
  runtime: Part;
  script: Part;
  options: Part;
  trailer: Part;
}

const NAMES = ["launcher", "runtime", "script", "options"] as const;
const TRAILER_SIZE = NAMES.length * 16 + 16;

/**
 * Finds the parts of an executable.
 *
 * @param file The whole executable.
 * @returns Offset and size of each part.
 * @throws {TypeError} If the file does not end with a trailer.
 */
export function readParts(file: Uint8Array): Parts {
  const trailer = { offset: file.length - TRAILER_SIZE, size: TRAILER_SIZE };
  const view = new DataView(file.buffer, file.byteOffset + trailer.offset);
  const magic = new TextDecoder().decode(file.subarray(-8));
  if (magic !== "xkmon\r\n\x02") throw new TypeError("no trailer");
  let offset = 0;
  const parts = NAMES.map((name, index): [string, Part] => {
    const size = Number(view.getBigUint64(index * 16, true));
    offset += size;
    return [name, { offset: offset - size, size }];
  });
  return { ...Object.fromEntries(parts), trailer } as unknown as Parts;
}
