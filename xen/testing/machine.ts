import { constants } from "../constants.ts";
import { libc } from "../ffi.ts";
import { PAGE_SIZE } from "../layouts.ts";
import { type Libraries, openFirst, sonames } from "../libraries.ts";
import { entryBits } from "../page_walk.ts";

const FRAMES = 8192;
const LEVELS = 4;

const PROT_NONE = 0;
const PROT_READ = 1;
const PROT_WRITE = 2;
const MAP_SHARED = 0x01;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;

const { DOMID_SELF } = constants;

const EINVAL = 22;

const memoryCalls = {
  memfd_create: { parameters: ["buffer", "u32"], result: "i32" },
  ftruncate: { parameters: ["i32", "i64"], result: "i32" },
  close: { parameters: ["i32"], result: "i32" },
  mmap: {
    parameters: ["pointer", "usize", "i32", "i32", "i32", "i64"],
    result: "pointer",
  },
  munmap: { parameters: ["pointer", "usize"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const calls = openFirst(sonames.libc, memoryCalls).symbols;
const realLibc = openFirst(sonames.libc, libc);

function mapMemory(
  address: Deno.PointerValue,
  size: number,
  protection: number,
  flags: number,
  fd: number,
  offset: number,
): Deno.PointerObject {
  const pointer = calls.mmap(
    address,
    BigInt(size),
    protection,
    flags,
    fd,
    BigInt(offset),
  );
  if (
    pointer === null || Deno.UnsafePointer.value(pointer) === 2n ** 64n - 1n
  ) {
    throw new Error("mmap failed");
  }
  return pointer;
}

/** What a call to map frames is given. */
interface MapCall {
  readonly domain: number;
  readonly protection: number;
  readonly frames: AllowSharedBufferSource | null;
  readonly errors: AllowSharedBufferSource | null;
}

/**
 * Memory of a machine for the tests, in frames, and a libxenforeignmemory that
 * maps them as the real one does: a mapping shows the memory itself, and one
 * that is used after `unmap` ends the process.
 */
export class Machine implements Disposable {
  /** To be given to what maps frames */
  readonly libraries: Libraries;
  /** Frames that Xen refuses to map */
  readonly refused = new Set<bigint>();
  /** Frames of Dom0's, which are no domain's that is asked for by its id */
  readonly own = new Set<bigint>();
  /** Frames that Xen refuses to map to be written: page tables */
  readonly readOnly = new Set<bigint>();
  /** Frames of memory in whose place others came since */
  readonly replaced = new Map<bigint, bigint>();
  /** Whether the privileged command device can be opened */
  opens = true;
  /** Number of calls of `xenforeignmemory_map` */
  mapCalls = 0;
  /** Called before frames are mapped in place of what is mapped */
  onMapOver: () => void = () => {};
  /** Pages that are mapped now */
  mappedPages = 0;

  #fd: number;
  #all: Deno.PointerObject;
  #view: DataView;
  #nextFrame = 1n;

  constructor() {
    this.#fd = calls.memfd_create(new TextEncoder().encode("machine\0"), 0);
    if (this.#fd < 0) throw new Error("memfd_create failed");
    if (calls.ftruncate(this.#fd, BigInt(FRAMES * PAGE_SIZE)) !== 0) {
      throw new Error("ftruncate failed");
    }
    this.#all = mapMemory(
      null,
      FRAMES * PAGE_SIZE,
      PROT_READ | PROT_WRITE,
      MAP_SHARED,
      this.#fd,
      0,
    );
    this.#view = new DataView(
      Deno.UnsafePointerView.getArrayBuffer(this.#all, FRAMES * PAGE_SIZE),
    );
    const symbols: Partial<Libraries["foreignmemory"]["symbols"]> = {
      xenforeignmemory_open: () => this.opens ? this.#all : null,
      xenforeignmemory_close: () => 0,
      xenforeignmemory_map: (
        _handle,
        domain,
        protection,
        pages,
        frames,
        errors,
      ) => {
        this.mappedPages += Number(pages);
        return this.#map(
          mapMemory(
            null,
            Number(pages) * PAGE_SIZE,
            PROT_NONE,
            MAP_PRIVATE | MAP_ANONYMOUS,
            -1,
            0,
          ),
          { domain, protection, frames, errors },
        );
      },
      xenforeignmemory_map2: (
        _handle,
        domain,
        place,
        protection,
        _flags,
        _pages,
        frames,
        errors,
      ) => {
        this.onMapOver();
        return this.#map(place!, { domain, protection, frames, errors });
      },
      xenforeignmemory_unmap: (_handle, pointer, pages) => {
        this.mappedPages -= Number(pages);
        return calls.munmap(pointer, BigInt(pages) * BigInt(PAGE_SIZE));
      },
    };
    this.libraries = {
      libc: realLibc,
      foreignmemory: { symbols, close: () => {} },
    } as Libraries;
  }

  /** Maps frames at a place that is free or mapped. */
  #map(
    place: Deno.PointerObject,
    { domain, protection, frames, errors }: MapCall,
  ): Deno.PointerObject {
    this.mapCalls++;
    const results = new Int32Array((errors as Uint8Array<ArrayBuffer>).buffer);
    const list = new BigUint64Array((frames as Uint8Array<ArrayBuffer>).buffer);
    // Where a frame is refused nothing is mapped, whatever was there
    mapMemory(
      place,
      list.length * PAGE_SIZE,
      PROT_NONE,
      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
      -1,
      0,
    );
    list.forEach((frame, index) => {
      const isOwners = this.own.has(frame) === (domain === DOMID_SELF);
      const isRefused = this.refused.has(frame) || frame >= BigInt(FRAMES) ||
        this.readOnly.has(frame) && (protection & PROT_WRITE) !== 0;
      if (isRefused || !isOwners) {
        results[index] = -EINVAL;
        return;
      }
      mapMemory(
        Deno.UnsafePointer.offset(place, index * PAGE_SIZE),
        PAGE_SIZE,
        protection,
        MAP_SHARED | MAP_FIXED,
        this.#fd,
        Number(this.replaced.get(frame) ?? frame) * PAGE_SIZE,
      );
    });
    return place;
  }

  /** A frame of zeros that nobody has. */
  allocate(): bigint {
    if (this.#nextFrame >= BigInt(FRAMES)) throw new RangeError("No memory");
    return this.#nextFrame++;
  }

  /** Bytes of a frame, live. */
  bytes(frame: bigint): Uint8Array {
    return new Uint8Array(
      this.#view.buffer,
      Number(frame) * PAGE_SIZE,
      PAGE_SIZE,
    );
  }

  /** One entry of a page table. */
  entry(table: bigint, index: number): bigint {
    return this.#view.getBigUint64(Number(table) * PAGE_SIZE + index * 8, true);
  }

  /** Replaces an entry of a page table. */
  setEntry(table: bigint, index: number, entry: bigint): void {
    this.#view.setBigUint64(Number(table) * PAGE_SIZE + index * 8, entry, true);
  }

  /** Table and index of the last-level entry of an address; makes tables. */
  leaf(root: bigint, address: bigint): { table: bigint; index: number } {
    let table = root;
    for (let level = LEVELS;; level--) {
      const shift = BigInt(12 + 9 * (level - 1));
      const index = Number((address >> shift) & 0x1ffn);
      if (level === 1) return { table, index };
      if (this.entry(table, index) === 0n) {
        this.setEntry(
          table,
          index,
          this.allocate() << 12n | entryBits.present | entryBits.writable,
        );
      }
      table = this.entry(table, index) >> 12n;
    }
  }

  /**
   * Maps an address to a frame.
   *
   * @returns The frame; a new one if none was given
   */
  map(
    root: bigint,
    address: bigint,
    { frame = this.allocate(), flags = entryBits.present | entryBits.writable }:
      { frame?: bigint; flags?: bigint } = {},
  ): bigint {
    const { table, index } = this.leaf(root, address);
    this.setEntry(table, index, frame << 12n | flags);
    return frame;
  }

  [Symbol.dispose](): void {
    calls.munmap(this.#all, BigInt(FRAMES * PAGE_SIZE));
    calls.close(this.#fd);
  }
}
