import type { CpuState } from "../guestos/cpu_state.ts";
import { FrameIndex, MAX_PAGES } from "./frame_index.ts";
import { PAGE_SIZE, vcpuContext } from "./layouts.ts";
import type { Levels } from "./page_walk.ts";
import { decodeVcpuContext } from "./vcpu_context.ts";

const HEADER_SIZE = 64;
const SEGMENT_SIZE = 56;
const SECTION_SIZE = 64;
const ET_CORE = 4;
const EM_X86_64 = 62;
const PT_LOAD = 1;
const PT_NOTE = 4;
/** A program header count that does not fit stands in the first section. */
const PN_XNUM = 0xffff;

const MAX_HEADERS = 65_536;
const MAX_NAMES = 1 << 20;
/** Longer than the name of any section that is looked for */
const MAX_NAME = 32;
/** Bytes of all notes: some KiB for each virtual CPU */
const MAX_NOTES = 64 << 20;
const MAX_CPUS = 4096;
/** Bytes of a table that are read at once, a multiple of its entries */
const CHUNK = 1 << 20;

const CR4_LA57 = 1n << 12n;

/** `QEMUCPUState` in the notes of a core (target/i386/arch_dump.c in QEMU) */
const qemuCpuState = {
  size: 432,
  rip: 136, // u64
  gdt: 344, // QEMUCPUSegment
  idt: 368, // QEMUCPUSegment
  cr: 392, // u64[5]
  segment_limit: 4, // u32
  segment_base: 16, // u64
} as const;

/** "QEMU", with a zero behind it, owns these notes */
const QEMU_OWNER = 0x51454d55;
const QEMU_OWNER_SIZE = 5;

/** A part of the file. */
interface Part {
  readonly offset: number;
  readonly size: number;
}

/** A part of guest memory in the file. */
interface Segment extends Part {
  /** Guest physical address of its first byte */
  readonly address: number;
}

/** What is known of a core's contents. */
interface Contents {
  /** Who wrote it, for people */
  readonly writer: "xl dump-core" | "QEMU";
  readonly type: "PV" | "PVH or HVM";
  readonly cpus: readonly CpuState[];
  /** Where a frame's page begins in the file */
  readonly find: (frame: number) => number | undefined;
}

/**
 * An ELF core of a guest: of `xl dump-core` (docs/misc/dump-core-format.txt in
 * Xen) or of QEMU's `dump-guest-memory` (dump/dump.c and target/i386 in QEMU).
 *
 * The file may be cut off or forged: positions are checked against it.
 */
export class CoreFile implements Disposable {
  readonly path: string;
  readonly writer: Contents["writer"];
  readonly type: Contents["type"];
  /** State of each virtual CPU; there is at least one */
  readonly cpus: readonly CpuState[];
  /** Paging levels of the kernel */
  readonly levels: Levels;
  #file: Deno.FsFile;
  #size: number;
  #find: Contents["find"];

  /**
   * @throws {Deno.errors.NotFound} If there is no such file
   * @throws {SyntaxError} If it is no core of a 64-bit x86 guest
   */
  constructor(path: string) {
    this.path = path;
    using stack = new DisposableStack();
    this.#file = stack.use(Deno.openSync(path));
    const { isFile, size } = this.#file.statSync();
    this.#size = size;
    if (!isFile) throw this.#malformed("it is no regular file");
    const { writer, type, cpus, find } = this.#read();
    this.writer = writer;
    this.type = type;
    this.cpus = cpus;
    this.#find = find;
    const [cpu] = cpus;
    if (cpu === undefined) throw this.#malformed("it has no virtual CPU");
    this.levels = cpu.kind === "hvm" && (cpu.cr4 & CR4_LA57) !== 0n ? 5 : 4;
    stack.move();
  }

  #malformed(reason: string): SyntaxError {
    return new SyntaxError(`${this.path} is no core of a guest: ${reason}`);
  }

  #check({ offset, size }: Part, limit: number, what: string): void {
    if (size > limit) throw this.#malformed(`${what} has ${size} bytes`);
    if (offset + size > this.#size) {
      throw this.#malformed(`${what} reaches beyond its end`);
    }
  }

  #bytes(part: Part, limit: number, what: string): DataView {
    this.#check(part, limit, what);
    const bytes = new Uint8Array(part.size);
    this.#readInto(part.offset, bytes);
    return new DataView(bytes.buffer);
  }

  #readInto(offset: number, bytes: Uint8Array): void {
    this.#file.seekSync(offset, Deno.SeekMode.Start);
    let done = 0;
    while (done < bytes.length) {
      const count = this.#file.readSync(bytes.subarray(done));
      if (count === null) throw this.#malformed("it was cut off meanwhile");
      done += count;
    }
  }

  /**
   * Copies the pages of frames.
   *
   * @param bytes Where to put them, 4096 bytes each
   * @returns Positions of the frames that the core does not hold
   */
  readFrames(frames: readonly number[], bytes: Uint8Array): number[] {
    const missing: number[] = [];
    // What lies together in the file is read at once
    let run = { position: 0, offset: 0, size: 0 };
    const read = ({ position, offset, size }: typeof run) => {
      const at = position * PAGE_SIZE;
      if (size > 0) this.#readInto(offset, bytes.subarray(at, at + size));
    };
    for (const [position, frame] of frames.entries()) {
      const offset = this.#find(frame);
      if (offset === undefined || offset + PAGE_SIZE > this.#size) {
        missing.push(position);
        continue;
      }
      const joins = offset === run.offset + run.size &&
        position * PAGE_SIZE === run.position * PAGE_SIZE + run.size;
      if (!joins) {
        read(run);
        run = { position, offset, size: 0 };
      }
      run.size += PAGE_SIZE;
    }
    read(run);
    return missing;
  }

  #read(): Contents {
    if (this.#size < HEADER_SIZE) throw this.#malformed("it is too short");
    const header = this.#bytes(
      { offset: 0, size: HEADER_SIZE },
      HEADER_SIZE,
      "its header",
    );
    if (header.getUint32(0) !== 0x7f454c46) {
      throw this.#malformed("it does not begin with the ELF magic");
    }
    const is64 = header.getUint8(4) === 2 && header.getUint8(5) === 1;
    if (!is64) throw this.#malformed("it is no 64-bit little-endian file");
    if (header.getUint16(16, true) !== ET_CORE) {
      throw this.#malformed("it is another ELF file than a core");
    }
    if (header.getUint16(18, true) !== EM_X86_64) {
      throw this.#malformed("it is of another machine than x86-64");
    }
    const sections = this.#sections(header);
    return sections.has(".xen_pages")
      ? this.#readXen(sections)
      : this.#readQemu(header);
  }

  #sections(header: DataView): Map<string, Part> {
    const count = header.getUint16(60, true);
    const sections = new Map<string, Part>();
    if (count === 0) return sections;
    const table = this.#bytes(
      { offset: number(header, 40), size: count * SECTION_SIZE },
      MAX_HEADERS * SECTION_SIZE,
      "its section header table",
    );
    const part = (index: number) => ({
      offset: number(table, index * SECTION_SIZE + 24),
      size: number(table, index * SECTION_SIZE + 32),
    });
    const namesAt = header.getUint16(62, true);
    if (namesAt >= count) return sections;
    const names = this.#bytes(
      part(namesAt),
      MAX_NAMES,
      "its section name table",
    );
    const text = new TextDecoder("latin1").decode(names.buffer);
    for (let index = 1; index < count; index++) {
      const at = table.getUint32(index * SECTION_SIZE, true);
      // Many sections may share one long name
      const name = text.slice(at, at + MAX_NAME);
      const end = name.indexOf("\0");
      if (end > 0) sections.set(name.slice(0, end), part(index));
    }
    return sections;
  }

  #readXen(sections: ReadonlyMap<string, Part>): Contents {
    const pages = sections.get(".xen_pages")!;
    const prstatus = sections.get(".xen_prstatus");
    if (prstatus === undefined) throw this.#malformed("it has no virtual CPU");
    const states = this.#bytes(
      prstatus,
      MAX_CPUS * vcpuContext.size,
      "its section .xen_prstatus",
    );
    // A PV guest's page tables hold machine frames: its table tells both
    const p2m = sections.get(".xen_p2m");
    const table = p2m ?? sections.get(".xen_pfn");
    if (table === undefined) {
      throw this.#malformed("it does not say which pages it holds");
    }
    const [stride, at] = p2m === undefined ? [8, 0] : [16, 8];
    this.#check(table, MAX_PAGES * stride, "its table of pages");
    const count = Math.min(
      Math.floor(table.size / stride),
      Math.floor(pages.size / PAGE_SIZE),
    );
    const index = new FrameIndex(count, this.#frames(table, stride, at));
    const cpus = Array.from(
      { length: Math.floor(states.byteLength / vcpuContext.size) },
      (_, vcpu): CpuState => {
        const view = new DataView(
          states.buffer,
          vcpu * vcpuContext.size,
          vcpuContext.size,
        );
        const pv = decodeVcpuContext(vcpu, view);
        if (p2m !== undefined) return pv;
        const { root, ip } = pv;
        return {
          kind: "hvm",
          vcpu,
          root,
          ip,
          cr0: view.getBigUint64(vcpuContext.ctrlreg, true),
          cr4: view.getBigUint64(vcpuContext.ctrlreg + 4 * 8, true),
        };
      },
    );
    return {
      writer: "xl dump-core",
      type: p2m === undefined ? "PVH or HVM" : "PV",
      cpus: cpus.filter(isUp),
      find: (frame) => {
        const position = index.find(frame);
        return position === undefined
          ? undefined
          : pages.offset + position * PAGE_SIZE;
      },
    };
  }

  /** The frames that a table of the pages names, in its order. */
  *#frames(table: Part, stride: number, at: number): Generator<number> {
    for (let from = 0; from < table.size; from += CHUNK) {
      const chunk = this.#bytes(
        {
          offset: table.offset + from,
          size: Math.min(CHUNK, table.size - from),
        },
        CHUNK,
        "its table of pages",
      );
      for (let entry = at; entry + 8 <= chunk.byteLength; entry += stride) {
        yield number(chunk, entry);
      }
    }
  }

  #readQemu(header: DataView): Contents {
    const segments: Segment[] = [];
    const cpus: CpuState[] = [];
    let noteBytes = 0;
    for (const segment of this.#segments(header)) {
      if (segment.type === PT_LOAD) {
        if (segment.size > 0) segments.push(segment);
      } else if (segment.type === PT_NOTE) {
        noteBytes += segment.size;
        if (noteBytes > MAX_NOTES) {
          throw this.#malformed(`it has ${noteBytes} bytes of notes`);
        }
        this.#addQemuCpus(segment, cpus);
      }
    }
    if (cpus.length === 0) {
      throw this.#malformed(
        "it is neither of xl dump-core nor of QEMU's dump-guest-memory",
      );
    }
    return {
      writer: "QEMU",
      type: "PVH or HVM",
      cpus: cpus.filter(isUp),
      find: (frame) => {
        const address = frame * PAGE_SIZE;
        const segment = segments.find((segment) =>
          address >= segment.address &&
          address + PAGE_SIZE <= segment.address + segment.size
        );
        return segment && segment.offset + (address - segment.address);
      },
    };
  }

  #segments(header: DataView): (Segment & { type: number })[] {
    let count = header.getUint16(56, true);
    if (count === PN_XNUM) {
      const first = { offset: number(header, 40), size: SECTION_SIZE };
      count = this.#bytes(first, SECTION_SIZE, "its first section header")
        .getUint32(44, true);
    }
    const table = this.#bytes(
      { offset: number(header, 32), size: count * SEGMENT_SIZE },
      MAX_HEADERS * SEGMENT_SIZE,
      "its program header table",
    );
    return Array.from({ length: count }, (_, index) => {
      const at = index * SEGMENT_SIZE;
      return {
        type: table.getUint32(at, true),
        offset: number(table, at + 8),
        address: number(table, at + 24),
        size: number(table, at + 32),
      };
    });
  }

  /** The notes of QEMU itself: one for each virtual CPU. */
  #addQemuCpus(part: Part, cpus: CpuState[]): void {
    const notes = this.#bytes(part, MAX_NOTES, "its note segment");
    for (let at = 0; at + 12 <= notes.byteLength;) {
      const ownerSize = notes.getUint32(at, true);
      const size = notes.getUint32(at + 4, true);
      const from = at + 12 + Math.ceil(ownerSize / 4) * 4;
      at = from + Math.ceil(size / 4) * 4;
      if (at > notes.byteLength) throw this.#malformed("a note is cut off");
      const isQemu = ownerSize === QEMU_OWNER_SIZE &&
        notes.getUint32(from - 8) === QEMU_OWNER;
      if (!isQemu || size < qemuCpuState.size) continue;
      if (cpus.length === MAX_CPUS) {
        throw this.#malformed(`it has more than ${MAX_CPUS} virtual CPUs`);
      }
      const view = new DataView(notes.buffer, from, size);
      const table = (offset: number) => ({
        base: view.getBigUint64(offset + qemuCpuState.segment_base, true),
        limit: view.getUint32(offset + qemuCpuState.segment_limit, true),
      });
      const cr = (index: number) =>
        view.getBigUint64(qemuCpuState.cr + index * 8, true);
      cpus.push({
        kind: "hvm",
        vcpu: cpus.length,
        root: BigInt.asUintN(52, cr(3)) >> 12n,
        ip: view.getBigUint64(qemuCpuState.rip, true),
        cr0: cr(0),
        cr4: cr(4),
        idt: table(qemuCpuState.idt),
        gdt: table(qemuCpuState.gdt),
      });
    }
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

/** Whether a virtual CPU was brought up: one that was not has no page tables. */
function isUp({ root }: CpuState): boolean {
  return root !== 0n;
}

/**
 * A 64-bit position or length. Above 2^53 it is not exact, but then it is far
 * outside every file and is refused all the same.
 */
function number(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}
