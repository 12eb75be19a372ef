import { type NoteImage, noteImage } from "./note_image.ts";

/** What a synthetic ELF file holds. */
export interface ElfImageOptions {
  /** `e_machine`; x86-64 where left out */
  machine?: number;
  loads?: {
    address: bigint;
    bytes: Uint8Array;
    /** Bytes in memory; as many as in the file where left out */
    memorySize?: bigint;
  }[];
  notes?: NoteImage[];
  symbols?: {
    name: string;
    address: bigint;
    size?: bigint;
    global?: boolean;
    /** `STT_*`; a function where left out */
    type?: number;
    /** Section index; absolute where left out, 0 for undefined */
    section?: number;
  }[];
}

/** Where a synthetic ELF file holds its tables: positions in the file. */
export interface ElfImage {
  bytes: Uint8Array<ArrayBuffer>;
  view: DataView<ArrayBuffer>;
  /** Program headers: one per load, then one of the notes */
  segmentsAt: number;
  /** Section headers: null, notes, .symtab, .strtab, .shstrtab */
  sectionsAt: number;
  notesAt: number;
  symbolsAt: number;
  stringsAt: number;
}

/**
 * Writes an ELF64 file for the tests, byte by byte from the specification, so
 * that each field can be made wrong.
 */
export function elfImage(
  { machine = 62, loads = [], notes = [], symbols = [] }: ElfImageOptions,
): ElfImage {
  const noteBytes = joined(notes.map(noteImage));
  const names = joined([
    new Uint8Array(1),
    ...symbols.map(({ name }) => new TextEncoder().encode(`${name}\0`)),
  ]);
  const sectionNames = new TextEncoder().encode(
    "\0.note.Xen\0.symtab\0.strtab\0.shstrtab\0",
  );

  const segmentsAt = 64;
  const segmentCount = loads.length + 1;
  let at = segmentsAt + 56 * segmentCount;
  const place = (size: number) => {
    const here = at;
    at += Math.ceil(size / 8) * 8;
    return here;
  };
  const loadsAt = loads.map(({ bytes }) => place(bytes.length));
  const notesAt = place(noteBytes.length);
  const symbolsAt = place(24 * (symbols.length + 1));
  const stringsAt = place(names.length);
  const sectionNamesAt = place(sectionNames.length);
  const sectionsAt = place(5 * 64);

  const bytes = new Uint8Array(at);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, machine, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, loads[0]?.address ?? 0n, true);
  view.setBigUint64(32, BigInt(segmentsAt), true);
  view.setBigUint64(40, BigInt(sectionsAt), true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, segmentCount, true);
  view.setUint16(58, 64, true);
  view.setUint16(60, 5, true);
  view.setUint16(62, 4, true);

  const segment = (
    i: number,
    type: number,
    offset: number,
    address: bigint,
    fileSize: number,
    memorySize: bigint,
  ) => {
    const here = segmentsAt + 56 * i;
    view.setUint32(here, type, true);
    view.setUint32(here + 4, 5, true);
    view.setBigUint64(here + 8, BigInt(offset), true);
    view.setBigUint64(here + 16, address, true);
    view.setBigUint64(here + 24, address, true);
    view.setBigUint64(here + 32, BigInt(fileSize), true);
    view.setBigUint64(here + 40, memorySize, true);
    view.setBigUint64(here + 48, 4n, true);
  };
  for (const [i, { address, bytes: content, memorySize }] of loads.entries()) {
    bytes.set(content, loadsAt[i]!);
    segment(
      i,
      1,
      loadsAt[i]!,
      address,
      content.length,
      memorySize ?? BigInt(content.length),
    );
  }
  bytes.set(noteBytes, notesAt);
  segment(
    loads.length,
    4,
    notesAt,
    0n,
    noteBytes.length,
    BigInt(noteBytes.length),
  );

  bytes.set(names, stringsAt);
  let nameAt = 1;
  for (const [i, symbol] of symbols.entries()) {
    const here = symbolsAt + 24 * (i + 1);
    view.setUint32(here, nameAt, true);
    view.setUint8(
      here + 4,
      (symbol.global === false ? 0 : 0x10) | (symbol.type ?? 2),
    );
    view.setUint16(here + 6, symbol.section ?? 0xfff1, true);
    view.setBigUint64(here + 8, symbol.address, true);
    view.setBigUint64(here + 16, symbol.size ?? 0n, true);
    nameAt += new TextEncoder().encode(symbol.name).length + 1;
  }

  bytes.set(sectionNames, sectionNamesAt);
  const section = (
    i: number,
    nameAt: number,
    type: number,
    offset: number,
    size: number,
    link = 0,
    entrySize = 0,
  ) => {
    const here = sectionsAt + 64 * i;
    view.setUint32(here, nameAt, true);
    view.setUint32(here + 4, type, true);
    view.setBigUint64(here + 24, BigInt(offset), true);
    view.setBigUint64(here + 32, BigInt(size), true);
    view.setUint32(here + 40, link, true);
    view.setBigUint64(here + 48, 4n, true);
    view.setBigUint64(here + 56, BigInt(entrySize), true);
  };
  section(1, 1, 7, notesAt, noteBytes.length);
  section(2, 11, 2, symbolsAt, 24 * (symbols.length + 1), 3, 24);
  section(3, 19, 3, stringsAt, names.length);
  section(4, 27, 3, sectionNamesAt, sectionNames.length);
  return {
    bytes,
    view,
    segmentsAt,
    sectionsAt,
    notesAt,
    symbolsAt,
    stringsAt,
  };
}

function joined(parts: Uint8Array[]): Uint8Array {
  const size = parts.reduce((sum, { length }) => sum + length, 0);
  const result = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
