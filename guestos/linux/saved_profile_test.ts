import { gzipSync } from "node:zlib";
import { assert, assertEquals, assertThrows } from "@std/assert";
import { ProfileError } from "../profile_error.ts";
import { LinuxImage } from "./linux_image.ts";
import { saveProfile, useSavedProfile } from "./saved_profile.ts";
import { BASE, hex, ImageBuilder } from "./testing/image_builder.ts";

const BANNER = "Linux version 6.1.0-lab";
const NOTES = 0x3000;
const TYPES = 0x4000;

/** A note that holds a build id of 4 bytes. */
function buildIdNote(id: string): Uint8Array {
  return hex(`04000000 04000000 03000000 474e5500 ${id}`);
}

/** A kernel that describes itself in its own memory. */
function kernel(
  { base = BASE, id = "01020304", extra = {} }: {
    base?: bigint;
    id?: string;
    extra?: Readonly<Record<string, number>>;
  } = {},
): LinuxImage {
  const builder = new ImageBuilder(0x8000, base);
  builder.types.struct("task_struct", 64, [
    { name: "pid", type: builder.types.int("int", 4), bit: 64 },
  ]);
  builder.absolute("fixed_percpu_data", 0n)
    .absolute("cpu_number", 0x1_2340n)
    .symbol("_text", 0).symbol("vfs_read", 0x100, "t")
    .data({
      __start_notes: NOTES,
      __stop_notes: NOTES + 20,
      __start_BTF: TYPES,
      ...extra,
    });
  builder.put(NOTES, buildIdNote(id));
  const types = builder.types.bytes;
  builder.put(TYPES, types).data({ __stop_BTF: TYPES + types.length });
  return builder.build();
}

/** The same kernel as it describes itself falsely. */
function falsified(image: LinuxImage): LinuxImage {
  const other = new ImageBuilder(16);
  return image.with(
    Array.from(
      image.symbols,
      (symbol) =>
        symbol.name === "vfs_read"
          ? { ...symbol, address: symbol.address + 1n }
          : symbol,
    ),
    other.build().btf,
  );
}

/** A file with one part replaced. */
function file(parts: Readonly<Record<string, unknown>>): Uint8Array {
  return gzipSync(JSON.stringify({
    format: "xkmon Linux profile 1",
    banner: BANNER,
    buildId: "01020304",
    symbols: "+0 T _text",
    types: "",
    ...parts,
  }));
}

Deno.test("a profile that is kept and used again is the same", () => {
  const image = kernel();
  const used = useSavedProfile(image, BANNER, saveProfile(image, BANNER));
  assertEquals(used.differing, 0);
  assertEquals([...used.image.symbols], [...image.symbols]);
  assertEquals(used.image.btf.member("task_struct", "pid")?.offset, 8);
  assertEquals(used.image.bytes, image.bytes);
});

Deno.test("symbols move with the kernel, but for those that are absolute", () => {
  const saved = saveProfile(kernel(), BANNER);
  const base = BASE + 0x1240_0000n;
  const moved = kernel({ base });
  const { image, differing } = useSavedProfile(moved, BANNER, saved);
  assertEquals(differing, 0);
  assertEquals([...image.symbols], [...moved.symbols]);
  assertEquals(image.symbolTable.address("vfs_read"), base + 0x100n);
  assertEquals(image.symbolTable.address("cpu_number"), 0x1_2340n);
});

Deno.test("what the guest says otherwise is counted, and not believed", () => {
  const image = kernel();
  const saved = saveProfile(image, BANNER);
  const used = useSavedProfile(falsified(image), BANNER, saved);
  assertEquals(used.differing, 1);
  assertEquals(used.image.symbolTable.address("vfs_read"), BASE + 0x100n);
  assertEquals(used.image.btf.sizeOf("task_struct"), 64);
  // One more than was kept
  const more = kernel({ extra: { rogue: 0x200 } });
  assertEquals(useSavedProfile(more, BANNER, saved).differing, 1);
});

Deno.test("a profile of another kernel is refused, and told with both", () => {
  const saved = saveProfile(kernel(), BANNER);
  const cases: [LinuxImage, string][] = [
    [kernel(), `${BANNER} #2`],
    [kernel({ id: "01020305" }), BANNER],
  ];
  for (const [seen, banner] of cases) {
    const error = assertThrows(
      () => useSavedProfile(seen, banner, saved),
      ProfileError,
      "build id 01020304",
    );
    assertEquals(error.step, "saved profile");
    assert(error.message.includes(banner));
  }
});

Deno.test("a kernel without a build id may be kept as well", () => {
  const image = kernel();
  const bytes = image.bytes.slice();
  bytes.fill(0, NOTES, NOTES + 20);
  const { base, symbols, btf } = image;
  const seen = new LinuxImage({
    base,
    bytes,
    symbols,
    btf,
    sections: new Map(),
    isOfFile: false,
  });
  const saved = saveProfile(seen, BANNER);
  assertEquals(useSavedProfile(seen, BANNER, saved).differing, 0);
  assertThrows(() => useSavedProfile(image, BANNER, saved), ProfileError);
});

Deno.test("a file that is damaged is refused", () => {
  const image = kernel();
  const saved = saveProfile(image, BANNER);
  const use = (file: Uint8Array) => () => useSavedProfile(image, BANNER, file);
  for (
    const length of [0, 1, 10, saved.length >> 1, saved.length - 8]
  ) {
    assertThrows(use(saved.subarray(0, length)), SyntaxError, "no profile");
  }
  for (let at = 12; at < saved.length; at += 7) {
    const damaged = saved.slice();
    damaged[at]! ^= 0x10;
    assertThrows(use(damaged), SyntaxError);
  }
  const others = ["", "{}", "null", "[]", "7", "{", "\xff"];
  for (const text of others) {
    assertThrows(use(gzipSync(text)), SyntaxError, "no profile");
  }
  assertThrows(use(new TextEncoder().encode("{}")), SyntaxError, "no profile");
});

Deno.test("a file of another format, or with parts of a wrong kind, is refused", () => {
  const image = kernel();
  for (
    const parts of [
      { format: "xkmon Linux profile 2" },
      { format: undefined },
      { symbols: 7 },
      { types: null },
      { banner: [] },
      { symbols: "" },
      { symbols: "+0 T" },
      { symbols: "0 T _text\n" },
      { symbols: "-8 T _text" },
      { symbols: "+xyz T _text" },
      { symbols: "+8 T _text\n+0 T stext" },
      { symbols: "+11112222333344445 T _text" },
      { types: "???" },
      { types: "AAAA" },
    ]
  ) {
    assertThrows(
      () => useSavedProfile(image, BANNER, file(parts)),
      SyntaxError,
    );
  }
});

Deno.test("a file that unpacks to more than any profile has is refused", () => {
  const image = kernel();
  // 300 MiB in 300 KiB
  const bomb = gzipSync(new Uint8Array(300 << 20), { level: 1 });
  assertThrows(
    () => useSavedProfile(image, BANNER, bomb),
    SyntaxError,
    "no profile",
  );
});
