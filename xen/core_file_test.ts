import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertThrows,
} from "@std/assert";
import { seededRandom } from "../guestos/testing/seeded_random.ts";
import { CoreFile } from "./core_file.ts";
import { PAGE_SIZE, vcpuContext } from "./layouts.ts";
import { coreNote, qemuCore, xenCore } from "./testing/core_image.ts";

const LA57 = 1n << 12n;
const TYPES = ["PV", "PVH or HVM"] as const;

const folder = await Deno.makeTempDir();
const path = `${folder}/web.core`;
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));

/**
 * @param size Bytes of the file, where there is a hole behind the core
 */
function write({ bytes }: { bytes: Uint8Array }, size = bytes.length): void {
  Deno.writeFileSync(path, bytes);
  Deno.truncateSync(path, size);
}

function open(core: { bytes: Uint8Array }): CoreFile {
  write(core);
  return new CoreFile(path);
}

/** Asserts that a core is refused, with nothing left open, and why. */
function assertRefused(
  core: { bytes: Uint8Array },
  reason: string,
  size?: number,
): void {
  write(core, size);
  const before = openFiles();
  const started = performance.now();
  const { message } = assertThrows(() => new CoreFile(path), SyntaxError);
  assertEquals(message, `${path} is no core of a guest: ${reason}`);
  assertEquals(openFiles(), before);
  assertLess(performance.now() - started, 2000);
}

/** The descriptors of this process that lead into the folder of the cores. */
function openFiles(): number {
  return [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => {
    try {
      return Deno.readLinkSync(`/proc/self/fd/${name}`).startsWith(folder);
    } catch (error) {
      // That of the folder itself
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  }).length;
}

/** Notes the memory that files are read into for as long as it is there. */
class WatchedReads implements Disposable {
  /** Bytes of the largest buffer, and of all of them */
  largest = 0;
  total = 0;
  #real = Deno.FsFile.prototype.readSync;
  #seen = new WeakSet<ArrayBufferLike>();

  constructor() {
    const real = this.#real;
    const note = (buffer: ArrayBufferLike) => this.#note(buffer);
    Deno.FsFile.prototype.readSync = function (bytes) {
      note(bytes.buffer);
      return real.call(this, bytes);
    };
  }

  #note(buffer: ArrayBufferLike): void {
    if (this.#seen.has(buffer)) return;
    this.#seen.add(buffer);
    this.largest = Math.max(this.largest, buffer.byteLength);
    this.total += buffer.byteLength;
  }

  [Symbol.dispose](): void {
    Deno.FsFile.prototype.readSync = this.#real;
  }
}

function page(filling: number): Uint8Array {
  return new Uint8Array(PAGE_SIZE).fill(filling);
}

/** The first and the last byte of some frames; undefined for those not there. */
function content(core: CoreFile, ...frames: number[]) {
  const bytes = new Uint8Array(frames.length * PAGE_SIZE);
  const missing = core.readFrames(frames, bytes);
  return frames.map((_, position) =>
    missing.includes(position) ? undefined : [
      bytes[position * PAGE_SIZE],
      bytes[(position + 1) * PAGE_SIZE - 1],
    ]
  );
}

Deno.test("a core of a PV guest is read by machine frames", () => {
  using core = open(xenCore({
    type: "PV",
    cpus: [{
      root: 0x1_0000_0005n,
      ip: 0xffff_ffff_8100_0000n,
      cr4: LA57,
      words: [
        [vcpuContext.trap_ctxt + 14 * 16 + 8, 0xffff_ffff_8000_0200n],
        [vcpuContext.syscall_callback_eip, 0x33n],
      ],
    }, { root: 6n }],
    pages: [
      { pfn: 0n, frame: 0x1_0000_0005n, bytes: page(1) },
      { pfn: 1n, frame: 7n, bytes: page(2) },
      // Given back to Xen meanwhile
      { pfn: 2n ** 64n - 1n, frame: 2n ** 64n - 1n },
      { pfn: 3n, frame: 3n, bytes: page(4) },
    ],
  }));
  assertEquals([core.path, core.writer, core.type, core.levels], [
    path,
    "xl dump-core",
    "PV",
    4,
  ]);
  const [first, second, ...others] = core.cpus;
  assertEquals(first, {
    kind: "pv",
    vcpu: 0,
    root: 0x1_0000_0005n,
    ip: 0xffff_ffff_8100_0000n,
    traps: [{ vector: 14, address: 0xffff_ffff_8000_0200n, cs: 0, flags: 0 }],
    callbacks: { event: 0n, failsafe: 0n, syscall: 0x33n },
  });
  assertEquals([second!.vcpu, second!.root, others.length], [1, 6n, 0]);
  assertEquals(content(core, 0x1_0000_0005, 7, 3, 0, 1, 2, 2 ** 64), [
    [1, 1],
    [2, 2],
    [4, 4],
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("a core of a PVH guest is read by guest frames", () => {
  using core = open(xenCore({
    type: "PVH or HVM",
    cpus: [{ root: 5n, ip: 0x1234n, cr0: 0x8005_0033n, cr4: 0x20n }],
    pages: [
      { frame: 0n, bytes: page(1) },
      { frame: 0xf_ffffn, bytes: page(2) },
      { frame: 2n ** 35n, bytes: page(3) },
    ],
  }));
  assertEquals([core.writer, core.type, core.levels], [
    "xl dump-core",
    "PVH or HVM",
    4,
  ]);
  assertEquals(core.cpus, [{
    kind: "hvm",
    vcpu: 0,
    root: 5n,
    ip: 0x1234n,
    cr0: 0x8005_0033n,
    cr4: 0x20n,
  }]);
  assertEquals(content(core, 0, 0xf_ffff, 2 ** 35, 1), [
    [1, 1],
    [2, 2],
    [3, 3],
    undefined,
  ]);
});

Deno.test("a core of QEMU is read by physical addresses, wherever they lie in the file", () => {
  const { bytes, segments } = qemuCore({
    cpus: [{
      root: 0xf_1234_5678n,
      ip: 0x1234n,
      cr0: 0x8005_0033n,
      cr4: 0x20n,
      words: [
        [344, 0x7f_0000_0000n],
        [344 + 16, 0xffff_fe00_0000_1000n],
        [368, 0xfff_0000_0000n],
        [368 + 16, 0xffff_fe00_0000_0000n],
      ],
    }],
    memory: [
      { address: 0n, bytes: new Uint8Array(2 * PAGE_SIZE).fill(1) },
      { address: 0x10_0000n, bytes: page(2) },
      { address: 2n ** 45n, bytes: page(3) },
      { address: 0x20_0000n, bytes: new Uint8Array() },
    ],
  });
  assert(segments.every(({ offset }) => offset % PAGE_SIZE !== 0));
  using core = open({ bytes });
  assertEquals([core.writer, core.type, core.levels], [
    "QEMU",
    "PVH or HVM",
    4,
  ]);
  assertEquals(core.cpus, [{
    kind: "hvm",
    vcpu: 0,
    root: 0xf_1234_5678n,
    ip: 0x1234n,
    cr0: 0x8005_0033n,
    cr4: 0x20n,
    idt: { base: 0xffff_fe00_0000_0000n, limit: 0xfff },
    gdt: { base: 0xffff_fe00_0000_1000n, limit: 0x7f },
  }]);
  assertEquals(content(core, 0, 1, 0x100, 2 ** 33, 2, 0xff, 0x101, 0x200), [
    [1, 1],
    [1, 1],
    [2, 2],
    [3, 3],
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

Deno.test("paging levels are those of the first CPU, which PV guests cannot choose", () => {
  const levels = (...cr4: bigint[]) => {
    const cpus = cr4.map((cr4) => ({ root: 1n, cr4 }));
    return [
      xenCore({ type: "PV", cpus }),
      xenCore({ type: "PVH or HVM", cpus }),
      qemuCore({ cpus }),
    ].map((image) => {
      using core = open(image);
      return core.levels;
    });
  };
  assertEquals(levels(LA57 | 0x20n), [4, 5, 5]);
  assertEquals(levels(~LA57 & 0xffff_ffffn), [4, 4, 4]);
  assertEquals(levels(LA57, 0n), [4, 5, 5]);
});

Deno.test("the bits of CR3 that are no address are not taken for one", () => {
  const cpu = { root: 0x5n, words: [[416, 1n << 63n | 0x5123n]] as const };
  using core = open(qemuCore({ cpus: [cpu] }));
  assertEquals(core.cpus[0]?.root, 5n);
});

Deno.test("CPUs that were never brought up are left out and keep the others' numbers", () => {
  const cpus = [{ root: 1n }, { root: 0n, ip: 0xfff0n }, { root: 3n }];
  for (
    const image of [
      xenCore({ type: "PV", cpus }),
      xenCore({ type: "PVH or HVM", cpus }),
      qemuCore({ cpus }),
    ]
  ) {
    using core = open(image);
    assertEquals(core.cpus.map(({ vcpu, root }) => [vcpu, root]), [
      [0, 1n],
      [2, 3n],
    ]);
  }
});

Deno.test("a page that a segment holds in part only is not there", () => {
  using core = open(qemuCore({
    memory: [
      { address: 0x800n, bytes: new Uint8Array(2 * PAGE_SIZE).fill(1) },
      { address: 0x10_0000n, bytes: new Uint8Array(2 * PAGE_SIZE - 1).fill(2) },
    ],
  }));
  assertEquals(content(core, 0, 1, 2, 0x100, 0x101), [
    undefined,
    [1, 1],
    undefined,
    [2, 2],
    undefined,
  ]);
});

Deno.test("the last page is read up to the end of the file, and not beyond it", () => {
  const memory = [{
    address: 0n,
    bytes: new Uint8Array(2 * PAGE_SIZE).fill(1),
  }];
  const { bytes } = qemuCore({ memory });
  {
    using core = open({ bytes });
    assertEquals(content(core, 1), [[1, 1]]);
  }
  using core = open({ bytes: bytes.subarray(0, -1) });
  assertEquals(content(core, 0, 1), [[1, 1], undefined]);
});

Deno.test("a page of a core of Xen is read where its table says so, and the file holds it", () => {
  for (const type of TYPES) {
    const pages = [1, 2].map((frame) => ({
      frame: BigInt(frame),
      bytes: page(frame),
    }));
    const image = xenCore({ type, pages });
    const { ".xen_pages": part, ".xen_p2m": p2m, ".xen_pfn": pfn } =
      image.sections;
    const table = (p2m ?? pfn)!;
    // Fewer pages than frames, and fewer frames than pages
    for (
      const [{ header, size }, stride] of [[part!, 1], [table, 2]] as const
    ) {
      image.view.setBigUint64(header + 32, BigInt(size - stride), true);
      using core = open(image);
      assertEquals(content(core, 1, 2), [[1, 1], undefined]);
      image.view.setBigUint64(header + 32, BigInt(size), true);
    }
    // Pages that reach beyond the end of the file
    image.view.setBigUint64(
      part!.header + 24,
      BigInt(image.bytes.length - PAGE_SIZE),
      true,
    );
    using core = open(image);
    assertEquals(content(core, 1, 2).map(Boolean), [true, false]);
  }
});

Deno.test("a file that is cut off while it is read is told", () => {
  const memory = [{ address: 0n, bytes: new Uint8Array(2 * PAGE_SIZE) }];
  const { bytes } = qemuCore({ memory });
  using core = open({ bytes });
  Deno.truncateSync(path, bytes.length - 1);
  assertEquals(content(core, 0), [[0, 0]]);
  assertThrows(() => content(core, 1), SyntaxError, "it was cut off meanwhile");
});

Deno.test("a number of segments that needs more than 16 bits is read from the first section", () => {
  using core = open(qemuCore({
    extended: true,
    memory: [{ address: 0n, bytes: page(1) }, {
      address: 0x5000n,
      bytes: page(2),
    }],
  }));
  assertEquals(content(core, 0, 5, 1), [[1, 1], [2, 2], undefined]);
});

Deno.test("notes of others are passed over", () => {
  const state = new Uint8Array(440).fill(0xff);
  using core = open(qemuCore({
    cpus: [{ root: 5n }],
    notes: [
      coreNote("VMCOREINFO", 0, state),
      coreNote("QEMU2", 0, state),
      coreNote("QEM", 0, state),
      // Of an older or other structure
      coreNote("QEMU", 0, state.subarray(0, 431)),
      // Neither owner nor content, at the very end
      new Uint8Array(12),
    ],
  }));
  assertEquals(core.cpus.map(({ root }) => root), [5n]);
});

Deno.test("CPUs are counted over all notes", () => {
  const image = qemuCore({
    cpus: [{ root: 5n }],
    memory: [{
      address: 0n,
      bytes: qemuCore({ cpus: [{ root: 6n }] }).bytes.slice(64 + 56 + 64),
    }],
  });
  image.view.setUint32(image.segments[1]!.header, 4, true);
  using core = open(image);
  assertEquals(core.cpus.map(({ vcpu, root }) => [vcpu, root]), [
    [0, 5n],
    [1, 6n],
  ]);
});

Deno.test("what is no file of cores is refused", () => {
  assertThrows(
    () => new CoreFile(`${folder}/none.core`),
    Deno.errors.NotFound,
  );
  const { message } = assertThrows(() => new CoreFile(folder), SyntaxError);
  assertEquals(
    message,
    `${folder} is no core of a guest: it is no regular file`,
  );
  assertEquals(openFiles(), 0);
});

Deno.test("a header of something else is refused with what it is", () => {
  const broken = (at: number, ...bytes: number[]) => {
    const image = xenCore({ type: "PV" });
    image.bytes.set(bytes, at);
    return image;
  };
  assertRefused({ bytes: new Uint8Array() }, "it is too short");
  assertRefused(
    { bytes: xenCore({ type: "PV" }).bytes.slice(0, 63) },
    "it is too short",
  );
  assertRefused(broken(3, 0x47), "it does not begin with the ELF magic");
  for (const [at, value] of [[4, 1], [5, 2]] as const) {
    assertRefused(broken(at, value), "it is no 64-bit little-endian file");
  }
  assertRefused(broken(16, 2), "it is another ELF file than a core");
  assertRefused(broken(18, 183), "it is of another machine than x86-64");
});

Deno.test("what neither of the two writers wrote is refused", () => {
  const neither =
    "it is neither of xl dump-core nor of QEMU's dump-guest-memory";
  const header = xenCore({ type: "PV" }).bytes.slice(0, 64).fill(0, 32);
  assertRefused({ bytes: header }, neither);
  assertRefused(qemuCore({ cpus: [] }), neither);
  // A core of a process
  assertRefused(
    qemuCore({ cpus: [], notes: [coreNote("CORE", 1, new Uint8Array(336))] }),
    neither,
  );
  // Section names that are not there
  for (const names of [0xffff, 7, 3]) {
    const xen = xenCore({ type: "PV" });
    xen.view.setUint16(62, names, true);
    assertRefused(xen, neither);
  }
});

Deno.test("a core without a virtual CPU is refused", () => {
  const reason = "it has no virtual CPU";
  for (const type of TYPES) {
    assertRefused(xenCore({ type, cpus: [] }), reason);
    assertRefused(xenCore({ type, cpus: [{ root: 0n }] }), reason);
    const { bytes, sections, view } = xenCore({ type });
    view.setUint32(sections[".xen_prstatus"]!.header, 0, true);
    assertRefused({ bytes }, reason);
    // Less than one
    const cut = xenCore({ type });
    cut.view.setBigUint64(
      cut.sections[".xen_prstatus"]!.header + 32,
      5167n,
      true,
    );
    assertRefused(cut, reason);
  }
  assertRefused(qemuCore({ cpus: [{ root: 0n }] }), reason);
});

Deno.test("a core that does not say which pages it holds is refused", () => {
  const { bytes, sections, view } = xenCore({ type: "PV" });
  view.setUint32(sections[".xen_p2m"]!.header, 0, true);
  assertRefused({ bytes }, "it does not say which pages it holds");
});

const SIZES = [2n ** 30n, 2n ** 40n, 2n ** 53n + 1n, 2n ** 64n - 1n];

Deno.test("sections that are cut off or of absurd sizes are refused", () => {
  const pages = [{ frame: 1n, bytes: page(1) }];
  for (
    const [type, section, what, limit] of [
      ["PV", ".shstrtab", "its section name table", 2 ** 20],
      ["PV", ".xen_prstatus", "its section .xen_prstatus", 4096 * 5168],
      ["PV", ".xen_p2m", "its table of pages", 2 ** 32],
      ["PVH or HVM", ".xen_pfn", "its table of pages", 2 ** 31],
    ] as const
  ) {
    const image = xenCore({ type, pages });
    const { header, offset, size } = image.sections[section]!;
    const beyond = `${what} reaches beyond its end`;
    const length = image.bytes.length;
    image.view.setBigUint64(header + 24, BigInt(length - size + 1), true);
    assertRefused(image, beyond);
    for (const place of SIZES) {
      image.view.setBigUint64(header + 24, place, true);
      assertRefused(image, beyond);
    }
    image.view.setBigUint64(header + 24, BigInt(offset), true);
    image.view.setBigUint64(header + 32, BigInt(limit), true);
    assertRefused(image, beyond);
    for (const tooMany of [BigInt(limit) + 1n, ...SIZES.slice(1)]) {
      image.view.setBigUint64(header + 32, tooMany, true);
      // In a file of holes that is as large as it says
      assertRefused(image, `${what} has ${Number(tooMany)} bytes`, 2 ** 41);
    }
  }
});

Deno.test("tables of headers that are cut off or of absurd sizes are refused", () => {
  const xen = xenCore({ type: "PV" });
  const sections = "its section header table reaches beyond its end";
  xen.view.setUint16(60, 0xffff, true);
  assertRefused(xen, sections);
  xen.view.setUint16(60, 7, true);
  for (const place of [BigInt(xen.bytes.length - 447), ...SIZES]) {
    xen.view.setBigUint64(40, place, true);
    assertRefused(xen, sections);
  }

  const segments = "its program header table reaches beyond its end";
  for (const place of [2n ** 30n, 2n ** 64n - 1n]) {
    const qemu = qemuCore({});
    qemu.view.setBigUint64(32, place, true);
    assertRefused(qemu, segments);
  }
  const qemu = qemuCore({ extended: true });
  const count = 64 + 56 + 44;
  qemu.view.setUint32(count, 65_536, true);
  assertRefused(qemu, segments);
  for (const tooMany of [65_537, 2 ** 32 - 1]) {
    qemu.view.setUint32(count, tooMany, true);
    assertRefused(
      qemu,
      `its program header table has ${tooMany * 56} bytes`,
      2 ** 41,
    );
  }
  qemu.view.setUint16(60, 0, true);
  qemu.view.setBigUint64(40, 2n ** 40n, true);
  assertRefused(qemu, "its first section header reaches beyond its end");
});

Deno.test("notes that are cut off or of absurd sizes are refused", () => {
  const image = qemuCore({ cpus: [{ root: 1n }, { root: 2n }] });
  const [{ header, offset, size }] = image.segments as [
    typeof image.segments[0],
  ];
  const limit = 64 << 20;
  image.view.setBigUint64(header + 32, BigInt(size - 4), true);
  assertRefused(image, "a note is cut off");
  image.view.setBigUint64(header + 32, BigInt(size + 1), true);
  assertRefused(image, "its note segment reaches beyond its end");
  for (const tooMany of [BigInt(limit) + 1n, ...SIZES]) {
    image.view.setBigUint64(header + 32, tooMany, true);
    assertRefused(
      image,
      `it has ${Number(tooMany)} bytes of notes`,
      2 ** 41,
    );
  }
  image.view.setBigUint64(header + 32, BigInt(size), true);
  for (const field of [0, 4]) {
    const before = image.view.getUint32(offset + field, true);
    for (const length of [size, 2 ** 31, 2 ** 32 - 1]) {
      image.view.setUint32(offset + field, length, true);
      assertRefused(image, "a note is cut off");
    }
    image.view.setUint32(offset + field, before, true);
  }
});

Deno.test("notes that are shown over and over are not read without end", () => {
  const image = qemuCore({
    notes: [new Uint8Array(1 << 20)],
    memory: Array.from({ length: 64 }, () => ({
      address: 0n,
      bytes: new Uint8Array(),
    })),
  });
  const [{ offset, size }] = image.segments as [typeof image.segments[0]];
  for (const { header } of image.segments) {
    image.view.setUint32(header, 4, true);
    image.view.setBigUint64(header + 8, BigInt(offset), true);
    image.view.setBigUint64(header + 32, BigInt(size), true);
  }
  const first = Math.floor((64 << 20) / size) + 1;
  assertRefused(image, `it has ${first * size} bytes of notes`);
});

Deno.test("more CPUs than any guest has are refused", () => {
  const many = (length: number) => ({
    cpus: Array.from({ length }, () => ({ root: 1n })),
  });
  {
    using core = open(qemuCore(many(4096)));
    assertEquals(core.cpus.length, 4096);
  }
  assertRefused(qemuCore(many(4097)), "it has more than 4096 virtual CPUs");
});

Deno.test("sections that share one long name are read soon", () => {
  const count = 65_535;
  const namesAt = 64 + 64 * count;
  const names = 1 << 20;
  const bytes = new Uint8Array(namesAt + names);
  bytes.set(xenCore({ type: "PV" }).bytes.subarray(0, 64));
  bytes.fill(65, namesAt, -1);
  const view = new DataView(bytes.buffer);
  view.setUint16(60, count, true);
  view.setBigUint64(128 + 24, BigInt(namesAt), true);
  view.setBigUint64(128 + 32, BigInt(names), true);
  assertRefused(
    { bytes },
    "it is neither of xl dump-core nor of QEMU's dump-guest-memory",
  );
});

Deno.test("a large table of pages is read a piece at a time", () => {
  for (const type of TYPES) {
    // Two pieces and some more: sixteen bytes an entry, and eight
    const count = 150_000 * (type === "PV" ? 1 : 2);
    const image = xenCore({ type });
    const table = new BigUint64Array(type === "PV" ? 2 * count : count);
    for (let at = 0; at < count; at++) {
      table[type === "PV" ? 2 * at + 1 : at] = BigInt(3 * at);
    }
    const { length } = image.bytes;
    const bytes = new Uint8Array(length + table.byteLength);
    bytes.set(image.bytes);
    bytes.set(new Uint8Array(table.buffer), length);
    const view = new DataView(bytes.buffer);
    const place = (section: string, at: number, size: number) => {
      const { header } = image.sections[section]!;
      view.setBigUint64(header + 24, BigInt(at), true);
      view.setBigUint64(header + 32, BigInt(size), true);
    };
    place(type === "PV" ? ".xen_p2m" : ".xen_pfn", length, table.byteLength);
    place(".xen_pages", bytes.length, count * PAGE_SIZE);
    write({ bytes }, bytes.length + count * PAGE_SIZE);
    const file = Deno.openSync(path, { write: true });
    for (const at of [0, 65_536, count - 1]) {
      file.seekSync(bytes.length + at * PAGE_SIZE, Deno.SeekMode.Start);
      file.writeSync(page(at % 251));
    }
    file.close();
    using reads = new WatchedReads();
    using core = new CoreFile(path);
    assertEquals(reads.largest, 1 << 20);
    assertEquals(
      content(core, 0, 3 * 65_536, 3 * (count - 1), 1, 3 * count),
      [
        ...[0, 65_536, count - 1].map((at) => [at % 251, at % 251]),
        undefined,
        undefined,
      ],
    );
  }
});

/** Most that is read of a core at once: all of its notes */
const MOST_AT_ONCE = 64 << 20;

/** Opens a corrupted core and reads some of it, or is refused. */
function readOrRefuse(what: string, fileSize: number): "read" | "refused" {
  const started = performance.now();
  using reads = new WatchedReads();
  try {
    using core = new CoreFile(path);
    assert(core.cpus.length > 0, what);
    content(core, 0, 1, 6, 2 ** 35, 2 ** 40, 2 ** 52);
    return "read";
  } catch (error) {
    assertInstanceOf(error, SyntaxError, `${what}: ${error}`);
    assert(!(error as Error).message.includes("\n"), what);
    return "refused";
  } finally {
    assertLess(performance.now() - started, 2000, `${what} took long`);
    // Each part is read once, whatever the parts are
    assert(reads.total <= 6 * fileSize, `${what} took ${reads.total} bytes`);
    assert(
      reads.largest <= MOST_AT_ONCE,
      `${what} took ${reads.largest} bytes`,
    );
  }
}

Deno.test("a corrupted core is read or refused, and nothing else", () => {
  const random = seededRandom(20);
  const pages = [{ frame: 2n ** 35n, bytes: page(1) }, { frame: 6n }];
  const cpus = [{ root: 5n, ip: 6n }, { root: 7n }];
  const memory = [{ address: 0n, bytes: page(1) }];
  const kinds = [
    xenCore({ type: "PV", cpus, pages }),
    xenCore({ type: "PVH or HVM", cpus, pages }),
    qemuCore({ cpus, memory, notes: [coreNote("VMCOREINFO", 0, page(65))] }),
    qemuCore({ cpus, memory, extended: true }),
  ];
  const before = openFiles();
  for (const [kind, { bytes: valid }] of kinds.entries()) {
    const results = { read: 0, refused: 0 };
    for (let round = 0; round < 1000; round++) {
      const bytes = valid.slice();
      const changes = random(4);
      for (let change = 0; change < changes; change++) {
        // Mostly where the headers are, mostly by values that matter
        const at = random(random(4) > 0 ? 600 : bytes.length);
        bytes[at] = [0, 1, 0x7f, 0x80, 0xff, random(256)][random(6)]!;
      }
      // As it is, cut off, or with a hole behind it that no size leaves
      const size = [
        bytes.length,
        random(bytes.length),
        random(700),
        2 ** 41,
      ][random(4)]!;
      write({ bytes: bytes.subarray(0, size) }, size);
      results[readOrRefuse(`round ${round} of ${kind}`, size)]++;
    }
    // Else it is no test of either
    assert(results.read > 100 && results.refused > 100, `${kind}`);
  }
  assertEquals(openFiles(), before);
});
