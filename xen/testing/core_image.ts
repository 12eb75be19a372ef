import { noteImage } from "../../guestos/testing/note_image.ts";
import { PAGE_SIZE, vcpuContext } from "../layouts.ts";

/** A page of guest memory in a core. */
export interface CorePage {
  /** Machine frame of a PV guest, guest frame of another */
  frame: bigint;
  /** Guest frame of a PV guest; the same as `frame` where left out */
  pfn?: bigint;
  /** Up to 4096 bytes; zeros where left out */
  bytes?: Uint8Array;
}

/** A virtual CPU in a core; what is left out is zero. */
export interface CoreCpu {
  /** Frame of the root page table */
  root?: bigint;
  ip?: bigint;
  cr0?: bigint;
  cr4?: bigint;
  /** Words of the state as the core holds it, by byte offset */
  words?: readonly (readonly [offset: number, value: bigint])[];
}

/** Part of a core: where its header is in the file, and where its content. */
export interface CorePart {
  header: number;
  offset: number;
  size: number;
}

/** A core, and where it holds what: positions in the file. */
export interface CoreImage {
  bytes: Uint8Array<ArrayBuffer>;
  view: DataView<ArrayBuffer>;
}

/** A core of `xl dump-core`. */
export interface XenCoreImage extends CoreImage {
  sections: Readonly<Record<string, CorePart>>;
}

/** A core of QEMU's `dump-guest-memory`. */
export interface QemuCoreImage extends CoreImage {
  /** The notes first, then one for each piece of memory */
  segments: readonly CorePart[];
}

const HEADER_SIZE = 64;
const SEGMENT_SIZE = 56;
const SECTION_SIZE = 64;

const XC_CORE_MAGIC = 0xf00febedn;
const XC_CORE_MAGIC_HVM = 0xf00febeen;
const XEN_ELFNOTE_DUMPCORE_HEADER = 0x2000001;

/** Bytes of what QEMU says of a CPU in its own note and in that for gdb */
const QEMU_STATE_SIZE = 440;
const PRSTATUS_SIZE = 336;

function words(
  size: number,
  list: readonly (readonly [offset: number, value: bigint])[],
): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(size));
  for (const [offset, value] of list) view.setBigUint64(offset, value, true);
  return new Uint8Array(view.buffer);
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const size = parts.reduce((sum, { length }) => sum + length, 0);
  const result = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}

/**
 * One ELF note.
 *
 * @param owner Its name; the zero behind it is added
 */
export function coreNote(
  owner: string,
  type: number,
  content: Uint8Array,
): Uint8Array<ArrayBuffer> {
  return noteImage({ owner, type, description: content });
}

function elfCore(size: number): CoreImage {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  bytes.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 4, true);
  view.setUint16(18, 62, true);
  view.setUint32(20, 1, true);
  view.setUint16(52, HEADER_SIZE, true);
  view.setUint16(54, SEGMENT_SIZE, true);
  view.setUint16(58, SECTION_SIZE, true);
  return { bytes, view };
}

/**
 * Writes a core as `xl dump-core` does (docs/misc/dump-core-format.txt in Xen),
 * byte by byte, so that each field can be made wrong.
 *
 * @param options.type Whether pages are told by machine frame (`.xen_p2m`)
 */
export function xenCore(
  { type, cpus = [{ root: 1n }], pages = [] }: {
    type: "PV" | "PVH or HVM";
    cpus?: readonly CoreCpu[];
    pages?: readonly CorePage[];
  },
): XenCoreImage {
  const isPv = type === "PV";
  const contents: Record<string, Uint8Array> = {
    ".shstrtab": new Uint8Array(),
    ".note.Xen": coreNote(
      "Xen",
      XEN_ELFNOTE_DUMPCORE_HEADER,
      words(32, [
        [0, isPv ? XC_CORE_MAGIC : XC_CORE_MAGIC_HVM],
        [8, BigInt(cpus.length)],
        [16, BigInt(pages.length)],
        [24, BigInt(PAGE_SIZE)],
      ]),
    ),
    ".xen_prstatus": joined(
      cpus.map(({ root = 0n, ip = 0n, cr0 = 0n, cr4 = 0n, words: more = [] }) =>
        words(vcpuContext.size, [
          [vcpuContext.rip, ip],
          [vcpuContext.ctrlreg, cr0],
          [vcpuContext.ctrlreg + 3 * 8, root << 12n],
          [vcpuContext.ctrlreg + 4 * 8, cr4],
          ...more,
        ])
      ),
    ),
    ".xen_shared_info": new Uint8Array(PAGE_SIZE),
    ".xen_pages": joined(
      pages.map(({ bytes = new Uint8Array() }) =>
        joined([bytes, new Uint8Array(PAGE_SIZE - bytes.length)])
      ),
    ),
    [isPv ? ".xen_p2m" : ".xen_pfn"]: joined(
      pages.map(({ frame, pfn = frame }) =>
        isPv ? words(16, [[0, pfn], [8, frame]]) : words(8, [[0, frame]])
      ),
    ),
  };
  const names = Object.keys(contents);
  contents[".shstrtab"] = new TextEncoder().encode(`\0${names.join("\0")}\0`);

  let at = HEADER_SIZE + SECTION_SIZE * (names.length + 1);
  const sections = Object.fromEntries(names.map((name, index) => {
    if (name === ".xen_pages") at = Math.ceil(at / PAGE_SIZE) * PAGE_SIZE;
    const { length: size } = contents[name]!;
    const header = HEADER_SIZE + SECTION_SIZE * (index + 1);
    const part = { header, offset: at, size };
    at += size;
    return [name, part];
  }));
  const core = elfCore(at);
  const { bytes, view } = core;
  view.setBigUint64(40, BigInt(HEADER_SIZE), true);
  view.setUint16(60, names.length + 1, true);
  view.setUint16(62, 1, true);
  let nameAt = 1;
  for (const name of names) {
    const { header, offset, size } = sections[name]!;
    view.setUint32(header, nameAt, true);
    view.setBigUint64(header + 24, BigInt(offset), true);
    view.setBigUint64(header + 32, BigInt(size), true);
    bytes.set(contents[name]!, offset);
    nameAt += name.length + 1;
  }
  return { ...core, sections };
}

function qemuState(
  { root = 0n, ip = 0n, cr0 = 0n, cr4 = 0n, words: more = [] }: CoreCpu,
): Uint8Array {
  const state = words(QEMU_STATE_SIZE, [
    [136, ip],
    [392, cr0],
    [416, root << 12n],
    [424, cr4],
    ...more,
  ]);
  const view = new DataView(state.buffer);
  view.setUint32(0, 1, true);
  view.setUint32(4, QEMU_STATE_SIZE, true);
  return state;
}

/**
 * Writes a core as QEMU's `dump-guest-memory` does (dump/dump.c there), byte
 * by byte, so that each field can be made wrong. No piece of memory begins at a
 * multiple of the page size in the file.
 *
 * @param options.memory Pieces of memory, by guest physical address
 * @param options.notes Notes of others, behind those of QEMU
 * @param options.extended Tell the number of segments as where 16 bits are too
 *   few (`PN_XNUM`)
 */
export function qemuCore(
  { cpus = [{ root: 1n }], memory = [], notes = [], extended = false }: {
    cpus?: readonly CoreCpu[];
    memory?: readonly { address: bigint; bytes: Uint8Array }[];
    notes?: readonly Uint8Array[];
    extended?: boolean;
  },
): QemuCoreImage {
  const contents = [
    joined([
      ...cpus.map(() => coreNote("CORE", 1, new Uint8Array(PRSTATUS_SIZE))),
      ...cpus.map((cpu) => coreNote("QEMU", 0, qemuState(cpu))),
      ...notes,
    ]),
    ...memory.map(({ bytes }) => bytes),
  ];
  const count = contents.length;
  const sectionAt = HEADER_SIZE + SEGMENT_SIZE * count;
  let at = sectionAt + SECTION_SIZE;
  const segments = contents.map(({ length: size }, index) => {
    if (at % PAGE_SIZE === 0) at += 4;
    const header = HEADER_SIZE + SEGMENT_SIZE * index;
    const part = { header, offset: at, size };
    at += size;
    return part;
  });
  const core = elfCore(at);
  const { bytes, view } = core;
  view.setBigUint64(32, BigInt(HEADER_SIZE), true);
  view.setBigUint64(40, BigInt(sectionAt), true);
  view.setUint16(56, extended ? 0xffff : count, true);
  view.setUint16(60, 1, true);
  if (extended) view.setUint32(sectionAt + 44, count, true);
  segments.forEach(({ header, offset, size }, index) => {
    view.setUint32(header, index === 0 ? 4 : 1, true);
    view.setBigUint64(header + 8, BigInt(offset), true);
    view.setBigUint64(header + 24, memory[index - 1]?.address ?? 0n, true);
    view.setBigUint64(header + 32, BigInt(size), true);
    bytes.set(contents[index]!, offset);
  });
  return { ...core, segments };
}
