import type { CodeTable, LinuxImage } from "./linux_image.ts";

const PAGE_SIZE = 4096;
const STRIDE = 8;

/** What a guest's read-only data must be. */
export interface PredictedRodata {
  /** Offset of the first byte from `_text` */
  readonly offset: number;
  /** Whole pages */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What is only constant from the end of boot on, offsets from `_text` */
  readonly afterInit?: { readonly offset: number; readonly size: number };
}

/** A place in the data that is not as the kernel makes it, and why. */
export interface Contradiction {
  /** Offset from `_text` */
  readonly offset: number;
  readonly reason: string;
}

/** Where the read-only data lies: whole pages. */
export function rodataRange(image: LinuxImage): {
  offset: number;
  size: number;
} {
  const offset = image.need("__start_rodata");
  const end = Math.ceil(image.need("__end_rodata") / PAGE_SIZE) * PAGE_SIZE;
  return { offset, size: end - offset };
}

/**
 * The bytes that a guest's read-only data must have: those of the file. What
 * the kernel sets while it boots (`__ro_after_init`) is taken from the guest.
 *
 * @param image The kernel, relocated
 * @param found The guest's read-only data as it is now
 * @param payload The kernel file, unpacked, where there is one
 */
export function predictRodata(
  image: LinuxImage,
  found: Uint8Array,
  payload?: Uint8Array,
): PredictedRodata {
  const { offset, size } = rodataRange(image);
  const bytes = image.bytes.slice(offset, offset + size);
  const afterInit = image.between(
    "__start_ro_after_init",
    "__end_ro_after_init",
  );
  if (afterInit !== undefined) {
    const from = afterInit.offset - offset;
    bytes.set(found.subarray(from, from + afterInit.size), from);
  }
  const padding = paddingOf(image, offset, size, payload);
  if (padding !== undefined) {
    // A kernel that unpacked itself leaves bytes of its file behind
    const { at, leftover } = padding;
    if (leftover.every((byte, i) => found[at + i] === byte)) {
      bytes.set(leftover, at);
    }
  }
  return {
    offset,
    bytes,
    ...(afterInit === undefined ? {} : { afterInit }),
  };
}

/**
 * The gap behind the last section of the data, up to the end of its page. The
 * decompressor loads the file's parts and clears nothing: what is there is the
 * unpacked file at the same offset.
 */
function paddingOf(
  image: LinuxImage,
  offset: number,
  size: number,
  payload: Uint8Array | undefined,
): { at: number; leftover: Uint8Array } | undefined {
  let last = offset;
  for (const [, part] of image.sectionsOf("")) {
    const end = part.offset + part.size;
    if (part.offset >= offset && end <= offset + size) {
      last = Math.max(last, end);
    }
  }
  const end = offset + size;
  if (payload === undefined || last === offset || last === end) {
    return undefined;
  }
  if (end > payload.length) return undefined;
  return { at: last - offset, leftover: payload.subarray(last, end) };
}

/**
 * What contradicts the kernel in data that it sets while it boots: pointers
 * into the text that do not lead to the start of a function, and tables that
 * hold other entries than the file's.
 *
 * @param image The kernel, relocated
 * @param found The guest's read-only data
 */
export function* afterInitContradictions(
  image: LinuxImage,
  found: Uint8Array,
): Generator<Contradiction> {
  const { offset } = rodataRange(image);
  const part = image.between("__start_ro_after_init", "__end_ro_after_init");
  if (part === undefined) return;
  const view = new DataView(found.buffer, found.byteOffset, found.byteLength);
  const text = image.need("_etext");
  const functions = image.functionStarts;
  const end = part.offset + part.size;
  for (let at = Math.ceil(part.offset / 8) * 8; at + 8 <= end; at += 8) {
    const target = Number(view.getBigUint64(at - offset, true) - image.base);
    if (target < 0 || target >= text || functions.has(target)) continue;
    // Code for user mode (vDSO) that the kernel keeps here is no pointers
    if (image.describe(image.address(at)).startsWith(VDSO)) continue;
    yield {
      offset: at,
      reason: "a pointer does not lead to the start of a function",
    };
  }
  yield* tableContradictions(
    image,
    found,
    "__jump_table",
    jumpEntry,
    16,
  );
  yield* tableContradictions(
    image,
    found,
    "static_call_sites",
    callEntry,
    STRIDE,
  );
}

/** Symbol of the images of code for user mode (arch/x86/entry/vdso/vdso2c.h) */
const VDSO = "raw_data";

/** Bits of a key that the kernel sets while it boots: whether code is freed */
const INIT = 2;

function jumpEntry(view: DataView, at: number, place: number): string {
  const key = place + 8 + Number(view.getBigInt64(at + 8, true));
  return `${place + view.getInt32(at, true)} ${
    place + 4 + view.getInt32(at + 4, true)
  } ${key & ~INIT}`;
}

function callEntry(view: DataView, at: number, place: number): string {
  const key = place + 4 + view.getInt32(at + 4, true);
  return `${place + view.getInt32(at, true)} ${key & ~INIT}`;
}

/** The kernel sorts its tables: the entries are the file's, in another order. */
function* tableContradictions(
  image: LinuxImage,
  found: Uint8Array,
  name: CodeTable,
  entry: (view: DataView, at: number, place: number) => string,
  stride: number,
): Generator<Contradiction> {
  const table = image.table(name);
  if (table === undefined) return;
  const { offset } = rodataRange(image);
  const view = new DataView(found.buffer, found.byteOffset, found.byteLength);
  const places = Array.from(
    { length: Math.floor(table.size / stride) },
    (_, index) => table.offset + index * stride,
  );
  const left = new Map<string, number>();
  for (const at of places) {
    const key = entry(image.view, at, at);
    left.set(key, (left.get(key) ?? 0) + 1);
  }
  for (const at of places) {
    const key = entry(view, at - offset, at);
    const count = left.get(key) ?? 0;
    if (count > 0) {
      left.set(key, count - 1);
      continue;
    }
    yield {
      offset: at,
      reason: "an entry of a table is none that the kernel file has",
    };
  }
}
