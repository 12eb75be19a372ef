import { assertEquals, assertThrows } from "@std/assert";
import { type MappedRange, UnreadableMemoryError } from "../memory.ts";
import { ProfileError } from "../profile_error.ts";
import { imageOfMemory } from "./image_of_memory.ts";
import { BtfImage } from "./testing/btf_image.ts";
import { BASE } from "./testing/image_builder.ts";
import { kallsymsImage } from "./testing/kallsyms_image.ts";
import { KernelBytes } from "./testing/kernel_bytes.ts";
import { kernelSymbols } from "./testing/kernel_symbols.ts";

const RODATA = BASE + 0x10_0000n;
const TABLE = RODATA + 0x1000n;
const TYPES = BASE + 0x18_0000n;
const DATA = BASE + 0x20_0000n;

const btf = new BtfImage();
btf.struct("task_struct", 64, [
  { name: "pid", type: btf.int("int", 4), bit: 64 },
]);

/** A kernel's own table, and the symbols that it holds. */
function makeTable(typesEnd: bigint) {
  const symbols = [
    ...kernelSymbols({ count: 1200, base: BASE }),
    { name: "__start_BTF", type: "D", address: TYPES },
    { name: "__stop_BTF", type: "D", address: typesEnd },
  ];
  return {
    symbols,
    ...kallsymsImage({ layout: "6.12", symbols, start: TABLE }),
  };
}

// Compressing the names takes long
const tables = {
  right: makeTable(TYPES + BigInt(btf.bytes.length)),
  empty: makeTable(TYPES),
  tooLong: makeTable(BASE + (1n << 30n)),
} as const;

/** A kernel in memory: code, read-only data with its table, and data. */
function setUp(
  { table = "right", types = true }: {
    table?: keyof typeof tables | "none";
    types?: boolean;
  } = {},
) {
  const memory = new KernelBytes();
  memory.write(BASE, new Uint8Array(0x2000).fill(0x90));
  memory.write(RODATA, new Uint8Array(0x10_0000));
  memory.write(DATA, new Uint8Array(0x1000).fill(0x77));
  if (table !== "none") memory.write(TABLE, tables[table].bytes);
  if (types) memory.write(TYPES, btf.bytes);
  const range = (
    start: bigint,
    size: bigint,
    permissions: string,
  ): MappedRange => ({
    start,
    size,
    writable: permissions.includes("w"),
    executable: permissions.includes("x"),
  });
  const location = {
    base: BASE,
    anchor: "LSTAR",
    ranges: [
      range(BASE, 0x2000n, "x"),
      range(RODATA, 0x10_0000n, ""),
      range(DATA, 0x1000n, "w"),
    ],
  };
  return { memory, location };
}

Deno.test("a kernel is what its memory shows, by its own table and types", () => {
  const { memory, location } = setUp();
  const image = imageOfMemory(memory, location);
  assertEquals(image.base, BASE);
  assertEquals([...image.symbols], tables.right.symbols);
  assertEquals(image.btf.member("task_struct", "pid"), { offset: 8, size: 4 });
  assertEquals(image.isOfFile, false);
  assertEquals(image.bytes.length, Number(DATA + 0x1000n - BASE));
  assertEquals(image.bytes[Number(TYPES - BASE)], btf.bytes[0]);
  // Code and data are read when they are needed
  assertEquals(image.bytes[0x1fff], 0);
  assertEquals(image.bytes[Number(DATA - BASE)], 0);
});

Deno.test("what is far behind the image is none of it", () => {
  const { memory, location } = setUp();
  const far = {
    start: BASE + (256n << 20n),
    size: 0x1000n,
    writable: false,
    executable: false,
  };
  const image = imageOfMemory(memory, {
    ...location,
    ranges: [...location.ranges, far],
  });
  assertEquals(image.bytes.length, Number(DATA + 0x1000n - BASE));
});

Deno.test("a kernel without a table of symbols has no profile", () => {
  const { memory, location } = setUp({ table: "none" });
  const error = assertThrows(
    () => imageOfMemory(memory, location),
    ProfileError,
    "--kernel FILE",
  );
  assertEquals(error.step, "symbols");
});

/** What is wrong if ranges of the image have another permission as well. */
function wrongIf(
  permission: "writable" | "executable",
  ...starts: readonly bigint[]
): ProfileError {
  const { memory, location } = setUp();
  const ranges = location.ranges.map((range) =>
    starts.includes(range.start) ? { ...range, [permission]: true } : range
  );
  return assertThrows(
    () => imageOfMemory(memory, { ...location, ranges }),
    ProfileError,
  );
}

Deno.test("a table in code or in data that is writable is none", () => {
  assertEquals(wrongIf("writable", RODATA).step, "symbols");
  assertEquals(wrongIf("executable", RODATA).step, "symbols");
});

Deno.test("a kernel that has not protected its image yet still boots", () => {
  const steps = [
    wrongIf("writable", BASE, RODATA),
    wrongIf("executable", RODATA, DATA),
  ];
  for (const error of steps) {
    assertEquals([error.step, error.isBooting], ["boot", true]);
  }
});

Deno.test("a kernel without types has no profile, nor one whose types are no types", () => {
  const kernels = [
    setUp({ types: false }),
    setUp({ table: "empty" }),
    setUp({ table: "tooLong" }),
  ];
  for (const { memory, location } of kernels) {
    const error = assertThrows(
      () => imageOfMemory(memory, location),
      ProfileError,
    );
    assertEquals(error.step, "types");
  }
});

Deno.test("an image that is too large, or is not there, is refused", () => {
  const { memory, location } = setUp();
  const [text] = location.ranges;
  const error = assertThrows(
    () =>
      imageOfMemory(memory, {
        ...location,
        ranges: [{ ...text!, size: 257n << 20n }],
      }),
    ProfileError,
  );
  assertEquals(error.step, "anchor");
  memory.unmap(RODATA + 0x5000n);
  assertThrows(
    () => imageOfMemory(memory, location),
    UnreadableMemoryError,
  );
});
