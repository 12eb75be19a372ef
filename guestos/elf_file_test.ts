import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertThrows,
} from "@std/assert";
import { ElfFile } from "./elf_file.ts";
import { SymbolTable } from "./symbol_table.ts";
import { elfImage } from "./testing/elf_image.ts";
import { run } from "./testing/run.ts";
import { seededRandom } from "./testing/seeded_random.ts";

const BASE = 0xffffffff80000000n;
const ALL_ONES = 0xffffffffffffffffn;

function image() {
  return elfImage({
    loads: [
      { address: BASE, bytes: Uint8Array.of(1, 2, 3, 4), memorySize: 8n },
      { address: BASE + 8n, bytes: Uint8Array.of(5, 6, 7, 8) },
      { address: BASE + 0x1000n, bytes: Uint8Array.of(9) },
    ],
    notes: [
      { owner: "Xen", type: 6, description: "SimpleOS" },
      { owner: "GNU", type: 3, description: Uint8Array.of(0xab, 0xcd) },
    ],
    symbols: [
      { name: "_text", address: BASE },
      { name: "shutdown", address: BASE + 2n, size: 6n, global: false },
    ],
  });
}

/** Uses everything that a reader offers. */
function readAll(bytes: Uint8Array): ElfFile {
  const elf = new ElfFile(bytes);
  const symbols = new SymbolTable(elf.symbols);
  symbols.describe(BASE + 3n);
  for (const { address, memorySize } of elf.segments) {
    elf.bytesAt(address, Math.min(memorySize, 4096));
    elf.bytesAt(address + 1n, 4096);
  }
  return elf;
}

/** Whether it is read or refused as it should be, and how long that takes. */
function readOrRefuse(bytes: Uint8Array, what: string): "read" | "refused" {
  const started = performance.now();
  try {
    readAll(bytes);
    return "read";
  } catch (error) {
    assertInstanceOf(error, SyntaxError, `${what}: ${error}`);
    assert(!(error as Error).message.includes("\n"), what);
    return "refused";
  } finally {
    assertLess(performance.now() - started, 5000, `${what} took long`);
  }
}

Deno.test("segments, sections, notes and symbols are read", () => {
  const elf = new ElfFile(image().bytes);
  assertEquals(elf.entry, BASE);
  assertEquals(
    elf.segments.map(({ type, address, fileSize, memorySize }) => [
      type,
      address,
      fileSize,
      memorySize,
    ]),
    [
      [1, BASE, 4, 8],
      [1, BASE + 8n, 4, 4],
      [1, BASE + 0x1000n, 1, 1],
      [4, 0n, 48, 48],
    ],
  );
  assertEquals(elf.sections.map(({ name }) => name), [
    "",
    ".note.Xen",
    ".symtab",
    ".strtab",
    ".shstrtab",
  ]);
  assertEquals(elf.symbols, [
    { name: "_text", address: BASE, size: 0, global: true },
    { name: "shutdown", address: BASE + 2n, size: 6, global: false },
  ]);
});

Deno.test("a note that a segment and a section show is read once", () => {
  const { notes } = new ElfFile(image().bytes);
  assertEquals(notes.map(({ owner, type }) => [owner, type]), [["Xen", 6], [
    "GNU",
    3,
  ]]);
  assertEquals(
    new TextDecoder().decode(notes[0]!.description),
    "SimpleOS\0",
  );
  assertEquals([...notes[1]!.description], [0xab, 0xcd]);
});

Deno.test("content is the file's bytes and then zeros, across segments", () => {
  const elf = new ElfFile(image().bytes);
  const at = (address: bigint, size: number) => {
    const bytes = elf.bytesAt(address, size);
    return bytes && [...bytes];
  };
  assertEquals(at(BASE + 1n, 2), [2, 3]);
  assertEquals(at(BASE + 2n, 4), [3, 4, 0, 0]);
  assertEquals(at(BASE + 5n, 2), [0, 0]);
  assertEquals(at(BASE, 12), [1, 2, 3, 4, 0, 0, 0, 0, 5, 6, 7, 8]);
  assertEquals(at(BASE + 0x1000n, 1), [9]);
});

Deno.test("content that segments do not cover whole is undefined", () => {
  const elf = new ElfFile(image().bytes);
  for (
    const [address, size] of [
      [BASE - 1n, 2],
      [BASE + 11n, 2],
      [BASE + 0x1000n, 2],
      [BASE + 0x2000n, 1],
      [0n, 1],
      [ALL_ONES, 16],
      [-1n, 1],
    ] as const
  ) {
    assertEquals(elf.bytesAt(address, size), undefined);
  }
});

Deno.test("impossible amounts of content are refused", () => {
  const elf = new ElfFile(image().bytes);
  for (const size of [-1, 0.5, NaN, Infinity, 2 ** 29 + 1]) {
    assertThrows(() => elf.bytesAt(BASE, size), RangeError);
  }
});

Deno.test("symbols that name no address or cannot be shown are left out", () => {
  const { bytes } = elfImage({
    symbols: [
      { name: "undefined", address: 0n, section: 0 },
      { name: "a.c", address: 0n, type: 4 },
      { name: "section", address: 1n, type: 3 },
      { name: "thread_local", address: 1n, type: 6 },
      { name: "red\x1b[31m", address: 1n },
      { name: "x".repeat(513), address: 1n },
      { name: "", address: 1n },
      { name: "y".repeat(512), address: 1n },
      { name: "object", address: 2n, type: 1 },
    ],
  });
  assertEquals(new ElfFile(bytes).symbols.map(({ name }) => name), [
    "y".repeat(512),
    "object",
  ]);
});

Deno.test("a file without sections has no symbols", () => {
  const { bytes, view } = image();
  view.setBigUint64(40, 0n, true);
  assertEquals(new ElfFile(bytes).symbols, []);
});

Deno.test("what is no ELF file is told by its name and the reason", () => {
  const notElf = new TextEncoder().encode("#!/bin/sh\n");
  assertThrows(
    () => new ElfFile(notElf, "/boot/script"),
    SyntaxError,
    "/boot/script is no ELF file: it does not begin with the ELF magic",
  );
  assertThrows(() => new ElfFile(new Uint8Array()), SyntaxError, "no ELF file");
});

Deno.test("a file for another machine is refused by the machine's name", () => {
  for (
    const [machine, name] of [[183, "AArch64"], [3, "i386"], [
      9999,
      "machine 9999",
    ]] as const
  ) {
    const { bytes } = elfImage({ machine });
    assertThrows(() => new ElfFile(bytes), SyntaxError, `file for ${name}`);
  }
});

Deno.test("32-bit, big-endian and unknown versions are refused", () => {
  for (const [at, value] of [[4, 1], [5, 2], [6, 2], [20, 2]] as const) {
    const { bytes } = image();
    bytes[at] = value;
    assertThrows(() => new ElfFile(bytes), SyntaxError);
  }
});

Deno.test("positions and lengths outside the file are refused, none wraps around", () => {
  for (const hostile of [ALL_ONES, ALL_ONES - 63n, 1n << 63n, 1n << 53n]) {
    const fields = (i: ReturnType<typeof image>) => ({
      "program header table": 32,
      "section header table": 40,
      "offset of a segment": i.segmentsAt + 8,
      "file size of a segment": i.segmentsAt + 32,
      "offset of the notes": i.segmentsAt + 3 * 56 + 8,
      "size of the notes": i.segmentsAt + 3 * 56 + 32,
      "offset of .symtab": i.sectionsAt + 2 * 64 + 24,
      "size of .symtab": i.sectionsAt + 2 * 64 + 32,
      "entry size of .symtab": i.sectionsAt + 2 * 64 + 56,
      "offset of .strtab": i.sectionsAt + 3 * 64 + 24,
      "size of .strtab": i.sectionsAt + 3 * 64 + 32,
      "size of a symbol": i.symbolsAt + 2 * 24 + 16,
    });
    for (const [what, at] of Object.entries(fields(image()))) {
      const { bytes, view } = image();
      view.setBigUint64(at, hostile, true);
      assertEquals(readOrRefuse(bytes, what), "refused", what);
    }
  }
});

Deno.test("hostile 32-bit and 16-bit fields are refused", () => {
  const { segmentsAt: _, sectionsAt, notesAt, symbolsAt } = image();
  for (
    const [what, at, size] of [
      ["size of a program header", 54, 2],
      ["number of program headers", 56, 2],
      ["size of a section header", 58, 2],
      ["number of section headers", 60, 2],
      ["owner size of a note", notesAt, 4],
      ["description size of a note", notesAt + 4, 4],
      ["link of .symtab", sectionsAt + 2 * 64 + 40, 4],
      ["name of a symbol", symbolsAt + 24, 4],
    ] as const
  ) {
    const { bytes, view } = image();
    if (size === 2) view.setUint16(at, 0xffff, true);
    else view.setUint32(at, 0xffffffff, true);
    assertEquals(readOrRefuse(bytes, what), "refused", what);
  }
});

Deno.test("overlapping segments and ones that leave the address space are refused", () => {
  const one = (address: bigint, memorySize: bigint) => ({
    address,
    bytes: Uint8Array.of(1),
    memorySize,
  });
  assertThrows(
    () =>
      new ElfFile(
        elfImage({ loads: [one(8n, 8n), one(0n, 9n)] }).bytes,
      ),
    SyntaxError,
    "overlap",
  );
  new ElfFile(elfImage({ loads: [one(8n, 8n), one(0n, 8n)] }).bytes);
  assertThrows(
    () => new ElfFile(elfImage({ loads: [one(ALL_ONES, 2n)] }).bytes),
    SyntaxError,
    "address space",
  );
  assertThrows(
    () =>
      new ElfFile(
        elfImage({
          loads: [{
            address: 0n,
            bytes: Uint8Array.of(1, 2),
            memorySize: 1n,
          }],
        }).bytes,
      ),
    SyntaxError,
    "larger in the file",
  );
});

Deno.test("more notes than a kernel has are refused", () => {
  const notes = Array.from({ length: 1025 }, (_, type) => ({
    owner: "Xen",
    type,
    description: "",
  }));
  assertThrows(
    () => new ElfFile(elfImage({ notes }).bytes),
    SyntaxError,
    "more than 1024 notes",
  );
});

Deno.test("a huge segment in memory costs nothing until it is asked for", () => {
  const elf = new ElfFile(
    elfImage({
      loads: [{ address: 0n, bytes: Uint8Array.of(7), memorySize: 1n << 60n }],
    }).bytes,
  );
  assertEquals([...elf.bytesAt(0n, 3)!], [7, 0, 0]);
  assertEquals([...elf.bytesAt(1n << 59n, 2)!], [0, 0]);
});

Deno.test("more symbols than a kernel has are refused before they are read", () => {
  const { bytes, view, sectionsAt } = image();
  const large = new Uint8Array(24 * 1_000_001 + bytes.length);
  large.set(bytes);
  new DataView(large.buffer).setBigUint64(
    sectionsAt + 2 * 64 + 32,
    24n * 1_000_001n,
    true,
  );
  assertEquals(view.getBigUint64(sectionsAt + 2 * 64 + 32, true), 72n);
  assertThrows(
    () => new ElfFile(large).symbols,
    SyntaxError,
    "1000001 symbols",
  );
});

Deno.test("a million symbols that share one long name are read in seconds", () => {
  const count = 1_000_000;
  const { bytes, sectionsAt, stringsAt } = elfImage({
    symbols: [{ name: "n".repeat(600), address: BASE }],
  });
  const at = Math.ceil(bytes.length / 8) * 8;
  const large = new Uint8Array(at + 24 * count);
  large.set(bytes);
  const view = new DataView(large.buffer);
  for (let i = 1; i < count; i++) {
    view.setUint32(at + 24 * i, 90, true);
    view.setUint16(at + 24 * i + 6, 1, true);
    view.setUint32(at + 24 * i + 8, i % 1000, true);
  }
  view.setBigUint64(sectionsAt + 2 * 64 + 24, BigInt(at), true);
  view.setBigUint64(sectionsAt + 2 * 64 + 32, BigInt(24 * count), true);
  assertEquals(large[stringsAt + 90], 0x6e);
  const started = performance.now();
  assertEquals(new ElfFile(large).symbols.length, count - 1);
  assertLess(performance.now() - started, 10_000);
});

Deno.test("what gcc links is read as readelf and objcopy read it", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const elfPath = await linkedByGcc(directory);
    const elf = new ElfFile(await Deno.readFile(elfPath), elfPath);

    const listed = (await run("readelf", "-sW", elfPath)).split("\n")
      .map((line) => line.trim().split(/\s+/))
      .filter(([number, , , type, , , section, name]) =>
        /^\d+:$/.test(number ?? "") && section !== "UND" &&
        name !== undefined &&
        type !== "FILE" && type !== "SECTION"
      )
      .map(([, value, size, , binding, , , name]) => ({
        name: name!,
        address: BigInt(`0x${value}`),
        size: Number(size),
        global: binding !== "LOCAL",
      }));
    assertEquals(elf.symbols, listed);
    assert(listed.some(({ name }) => name === "shutdown_p"));

    const sections = (await run("readelf", "-SW", elfPath)).split("\n")
      .map((line) => /^ +\[ *\d+\] (\S+) /.exec(line)?.[1])
      .filter((name) => name !== undefined && name !== "NULL");
    assertEquals(elf.sections.slice(1).map(({ name }) => name), sections);

    assertEquals(
      elf.notes.map(({ owner, type, description }) => [
        owner,
        type,
        new TextDecoder().decode(description),
      ]),
      [["Xen", 6, "TestOS\0"], ["Xen", 7, "1\0"]],
    );

    const text = elf.sections.find(({ name }) => name === ".text")!;
    const textPath = `${directory}/text`;
    await run("objcopy", "-O", "binary", "-j", ".text", elfPath, textPath);
    assertEquals(
      elf.bytesAt(text.address, text.size),
      await Deno.readFile(textPath),
    );
    const bss = new SymbolTable(elf.symbols).get("zeros")!;
    assertEquals(elf.bytesAt(bss.address, bss.size), new Uint8Array(64));
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("a file cut off at any length is read or refused", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const linked = await Deno.readFile(await linkedByGcc(directory));
    let refused = 0;
    for (const bytes of [image().bytes, linked]) {
      const step = Math.max(1, Math.floor(bytes.length / 3000));
      for (let length = 0; length < bytes.length; length += step) {
        const outcome = readOrRefuse(
          bytes.slice(0, length),
          `the first ${length} bytes`,
        );
        if (outcome === "refused") refused++;
      }
    }
    assert(refused > 0);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("25,000 files with random damage are read or refused", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const random = seededRandom(20_261_123);
    const linked = await Deno.readFile(await linkedByGcc(directory));
    const extremes = [0, 1, 0x7f, 0x80, 0xff];
    const outcomes = { read: 0, refused: 0 };
    for (let round = 0; round < 25_000; round++) {
      const synthetic = image();
      const bytes = round % 2 === 0 ? synthetic.bytes : linked.slice();
      const header = new DataView(bytes.buffer);
      const sectionsAt = Number(header.getBigUint64(40, true));
      // Damage in the tables is what a reader can fall over
      const ranges = [[0, 64], [64, 300], [sectionsAt, bytes.length], [
        0,
        bytes.length,
      ]] as const;
      const damage = 1 + random(8);
      for (let i = 0; i < damage; i++) {
        const [from, to] = ranges[random(ranges.length)]!;
        const at = from + random(to - from);
        // The identity is spared mostly, or little else would be tested
        if (at < 24 && random(20) !== 0) continue;
        bytes[at] = random(2) === 0
          ? random(256)
          : extremes[random(extremes.length)]!;
      }
      outcomes[readOrRefuse(bytes, `round ${round}`)]++;
    }
    assert(outcomes.read > 1000, `only ${outcomes.read} were read`);
    assert(outcomes.refused > 1000, `only ${outcomes.refused} were refused`);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

/** A small kernel-like program, linked in the kernel half. */
async function linkedByGcc(directory: string): Promise<string> {
  const source = `${directory}/test.S`;
  const output = `${directory}/test.elf`;
  await Deno.writeTextFile(source, ASSEMBLY);
  await run(
    "gcc",
    "-nostdlib",
    "-static",
    "-no-pie",
    "-Wl,--build-id=none",
    "-Wl,-Ttext-segment=0xffffffff80000000",
    "-Wl,-z,max-page-size=4096",
    "-o",
    output,
    source,
  );
  return output;
}

const ASSEMBLY = `
    .file "test.S"
    .text
    .globl _start, shutdown
    .type _start, @function
_start:
    call shutdown
1:  jmp 1b
    .size _start, . - _start
    .type shutdown, @function
shutdown:
    mov $42, %eax
    ret
    .size shutdown, . - shutdown
    .data
    .globl sys_call_table
    .type sys_call_table, @object
    .size sys_call_table, 24
sys_call_table:
    .quad _start
    .type shutdown_p, @object
    .size shutdown_p, 8
shutdown_p:
    .quad shutdown, 0
    .bss
    .type zeros, @object
    .size zeros, 64
zeros:
    .skip 64
    .set version, 7
    .section .note.Xen, "a", @note
    .long 4, 7, 6
    .asciz "Xen"
    .asciz "TestOS"
    .balign 4
    .long 4, 2, 7
    .asciz "Xen"
    .asciz "1"
    .balign 4
    .section .note.GNU-stack, "", @progbits
`;
