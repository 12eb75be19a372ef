import { assertEquals, assertThrows } from "@std/assert";
import { hex, ImageBuilder } from "../testing/image_builder.ts";
import { patchingOf, type PatchingOptions } from "../testing/patching.ts";
import { branch, CALL, JUMP } from "../x86_branch.ts";
import { nopStyle, patchAlternatives } from "./alternatives.ts";

/** Features that the tests' processor has, and one that it lacks */
const HAS = 37;
const HAS_TOO = 96;
const LACKS = 38;
const NOT = 1;
const DIRECT_CALL = 2;

const CPU = 0x6000;
const TABLE = 0x7000;
/** Where replacements are: behind the text */
const REPLACEMENTS = 0x4000;
const BUG = 0x1800;
const NOP_FUNC = 0x1880;
const SLOT = 0x6800;

interface Entry {
  readonly at: number;
  /** Hexadecimal, or bytes by where they are */
  readonly replacement: string | ((from: number) => Uint8Array);
  readonly length: number;
  readonly feature?: number;
  readonly flags?: number;
}

interface Kernel extends PatchingOptions {
  readonly code: Readonly<Record<number, string>>;
  readonly entries: readonly Entry[];
}

function builderOf(stride: 12 | 14, { code, entries }: Kernel): ImageBuilder {
  const builder = new ImageBuilder();
  const { types, view } = builder;
  types.struct("alt_instr", stride, []);
  const u32 = types.int("u32", 4);
  types.struct("cpuinfo_x86", 64, [
    { name: "x86_capability", type: types.array(u32, 4), bit: 8 * 16 },
  ]);
  builder.data({ boot_cpu_data: CPU });
  for (const feature of [HAS, HAS_TOO]) {
    builder.bytes[CPU + 16 + (feature >> 3)]! |= 1 << (feature & 7);
  }
  builder.symbol("BUG_func", BUG).symbol("nop_func", NOP_FUNC);
  for (const [at, text] of Object.entries(code)) {
    builder.put(Number(at), hex(text));
  }
  for (const [index, entry] of entries.entries()) {
    const { at, replacement, length, feature = HAS, flags = 0 } = entry;
    const place = TABLE + stride * index;
    const from = REPLACEMENTS + 32 * index;
    const bytes = typeof replacement === "string"
      ? hex(replacement)
      : replacement(from);
    builder.put(from, bytes);
    builder.s32(place, at - place).s32(place + 4, from - place - 4);
    if (stride === 14) {
      view.setUint16(place + 8, feature, true);
      view.setUint16(place + 10, flags, true);
    } else {
      view.setUint16(
        place + 8,
        feature | ((flags & NOT) === 0 ? 0 : 0x8000),
        true,
      );
    }
    view.setUint8(place + stride - 2, length);
    view.setUint8(place + stride - 1, bytes.length);
  }
  return builder.section(".altinstructions", TABLE, stride * entries.length);
}

/** The code at a place after the patching. */
function patched(
  stride: 12 | 14,
  at: number,
  size: number,
  kernel: Kernel,
): string {
  const patching = patchingOf(builderOf(stride, kernel), kernel);
  patchAlternatives(patching);
  return patching.text.subarray(at, at + size).toHex();
}

/** The same, for one entry at 0x100 with a byte behind it that stays. */
function one(
  stride: 12 | 14,
  code: string,
  entry: Omit<Entry, "at" | "length">,
): string {
  const length = hex(code).length;
  const result = patched(stride, 0x100, length + 1, {
    code: { 0x100: `${code} ee` },
    entries: [{ at: 0x100, length, ...entry }],
  });
  assertEquals(result.slice(-2), "ee");
  return result.slice(0, -2);
}

function plain(code: string): string {
  return hex(code).toHex();
}

Deno.test("the size of entries tells the age of a kernel, and how it fills gaps", () => {
  const kernel = { code: {}, entries: [] };
  assertEquals(nopStyle(patchingOf(builderOf(12, kernel))), "runs");
  assertEquals(nopStyle(patchingOf(builderOf(14, kernel))), "instructions");
});

Deno.test("what fits the processor is put in, the rest is filled", () => {
  for (const stride of [12, 14] as const) {
    // stac in place of five bytes
    assertEquals(
      one(stride, "0f 0b 90 90 90", { replacement: "0f 01 cb" }),
      plain("0f 01 cb 66 90"),
    );
    assertEquals(
      one(stride, "0f 0b 90 90 90", { replacement: "" }),
      plain("0f 1f 44 00 00"),
    );
  }
});

Deno.test("what does not fit the processor only has its gaps merged", () => {
  for (const stride of [12, 14] as const) {
    for (const feature of [LACKS, 127, 1000]) {
      assertEquals(
        one(stride, "c3 90 90 90", { replacement: "0f 01 cb", feature }),
        plain("c3 0f 1f 00"),
      );
    }
  }
});

Deno.test("an entry may be for processors without a feature", () => {
  for (const stride of [12, 14] as const) {
    const replacement = "0f 01 cb";
    assertEquals(
      one(stride, "c3 90 90", { replacement, feature: LACKS, flags: NOT }),
      plain(replacement),
    );
    assertEquals(
      one(stride, "c3 90 90", { replacement, flags: NOT }),
      plain("c3 66 90"),
    );
  }
});

Deno.test("later entries go over earlier ones, in the order of the table", () => {
  for (const stride of [12, 14] as const) {
    const entries = [
      { at: 0x100, length: 3, replacement: "31 c0" },
      { at: 0x100, length: 3, replacement: "0f 01 cb", feature: HAS_TOO },
      { at: 0x100, length: 3, replacement: "0f 01 ca", feature: LACKS },
    ];
    assertEquals(
      patched(stride, 0x100, 3, { code: { 0x100: "90 90 90" }, entries }),
      plain("0f 01 cb"),
    );
  }
});

Deno.test("code that was freed is not looked at", () => {
  for (const stride of [12, 14] as const) {
    const at = 0x1ffe;
    assertEquals(
      patched(stride, at, 3, {
        code: { [at]: "90 90 90" },
        entries: [{ at, length: 3, replacement: "0f 01 cb" }],
      }),
      plain("90 90 90"),
    );
  }
});

Deno.test("a call leads where the replacement's does", () => {
  const replacement = (from: number) => branch(CALL, from, 0x800);
  for (const stride of [12, 14] as const) {
    // 0x800 - 0x105
    assertEquals(
      one(stride, "90 90 90 90 90", { replacement }),
      plain("e8 fb 06 00 00"),
    );
  }
});

Deno.test("up to 6.3 a jump forwards is shortened where it can be, others are not", () => {
  const jumpTo = (target: number) =>
    one(12, "90 90 90 90 90", {
      replacement: (from) => branch(JUMP, from, target),
    });
  assertEquals(jumpTo(0x140), plain("eb 3e 0f 1f 00"));
  assertEquals(jumpTo(0x102 + 127), plain("eb 7f 0f 1f 00"));
  assertEquals(jumpTo(0x102 + 128), plain("e9 7d 00 00 00"));
  // Backwards the kernel's own comparison never holds
  assertEquals(jumpTo(0xf0), plain("e9 eb ff ff ff"));
});

Deno.test("from 6.4 on a jump is shortened both ways, with breakpoints behind it", () => {
  const jumpTo = (target: number) =>
    one(14, "90 90 90 90 90", {
      replacement: (from) => branch(JUMP, from, target),
    });
  assertEquals(jumpTo(0x140), plain("eb 3e cc cc cc"));
  assertEquals(jumpTo(0x102 + 127), plain("eb 7f cc cc cc"));
  assertEquals(jumpTo(0x102 + 128), plain("e9 7d 00 00 00"));
  assertEquals(jumpTo(0xf0), plain("eb ee cc cc cc"));
  assertEquals(jumpTo(0x102 - 128), plain("eb 80 cc cc cc"));
  assertEquals(jumpTo(0x102 - 129), plain("e9 7c ff ff ff"));
});

Deno.test("up to 6.3 a call that is not all of a replacement is not relocated", () => {
  assertEquals(
    one(12, "90 90 90 90 90 90", { replacement: "90 e8 01 02 03 04" }),
    plain("90 e8 01 02 03 04"),
  );
  assertEquals(
    one(12, "90 90 90 90 90 90", { replacement: "e8 01 02 03 04 90" }),
    plain("e8 01 02 03 04 90"),
  );
});

Deno.test("from 6.4 on whatever leads out of a replacement is relocated", () => {
  // The replacement runs 0x3f00 lower than it is stored
  const moved = (distance: number) =>
    hex("00 00 00 00").map((_, index) =>
      (distance + 0x3f00) >>> (8 * index) & 0xff
    ).toHex();
  const distance = -0x3000;
  const bytes = hex("00 00 00 00");
  new DataView(bytes.buffer).setInt32(0, distance, true);
  const cases: [string, string][] = [
    // mov distance(%rip), %rax
    [`48 8b 05 ${bytes.toHex()}`, `48 8b 05 ${moved(distance)}`],
    // je
    [`0f 84 ${bytes.toHex()}`, `0f 84 ${moved(distance)}`],
    // cmpl $7, distance(%rip): a constant behind the distance
    [`83 3d ${bytes.toHex()} 07`, `83 3d ${moved(distance)} 07`],
    // pause; call
    [`f3 90 e8 ${bytes.toHex()}`, `f3 90 e8 ${moved(distance)}`],
  ];
  for (const [replacement, expected] of cases) {
    const length = hex(replacement).length;
    assertEquals(
      one(14, "90 ".repeat(length), { replacement }),
      plain(expected),
      replacement,
    );
  }
});

Deno.test("what leads within a replacement, or to its end, stays", () => {
  for (
    const replacement of [
      // jmp and je over ud2, to the end
      "eb 02 0f 0b",
      "74 02 0f 0b",
      // jmp to itself
      "eb fe 0f 0b",
      // lea 1(%rip), %rax: to the end
      "48 8d 05 01 00 00 00 c3",
    ]
  ) {
    const length = hex(replacement).length;
    assertEquals(
      one(14, "90 ".repeat(length), { replacement }),
      plain(replacement),
    );
  }
});

Deno.test("of entries for one place the longest length counts for all", () => {
  const kernel = {
    code: { 0x100: "c3 90 90 90 90 90 90 90 ee" },
    entries: [
      { at: 0x100, length: 3, replacement: "0f 01 cb" },
      { at: 0x100, length: 8, replacement: "0f 01 ca", feature: LACKS },
    ],
  };
  assertEquals(
    patched(14, 0x100, 9, kernel),
    plain("0f 01 cb 0f 1f 44 00 00 ee"),
  );
  // Not before 6.4: the rest is merged by the second entry
  const runs = {
    ...kernel,
    code: { 0x100: "c3 90 90 c3 90 90 90 90 ee" },
  };
  assertEquals(
    patched(12, 0x100, 9, runs),
    plain("0f 01 cb c3 0f 1f 40 00 ee"),
  );
});

Deno.test("a call through memory becomes a direct one of what the guest has there", () => {
  const at = 0x100;
  const direct = (target: bigint) =>
    patched(14, at, 7, {
      // call *SLOT(%rip)
      code: { [at]: "ff 15 fa 66 00 00 ee" },
      entries: [{
        at,
        length: 6,
        flags: DIRECT_CALL,
        replacement: (from) => branch(CALL, from, BUG),
      }],
      guest: new Map([[SLOT, hex(littleEndian(target))]]),
    });
  const base = 0xffff_ffff_8100_0000n;
  assertEquals(direct(base + 0x900n), plain("e8 fb 07 00 00 90 ee"));
  assertEquals(
    direct(base + BigInt(NOP_FUNC)),
    plain("66 0f 1f 44 00 00 ee"),
  );
  // Nothing there: a call of what stops the kernel. 0x1800 - 0x105
  assertEquals(direct(0n), plain("e8 fb 16 00 00 90 ee"));
});

function littleEndian(value: bigint): string {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value, true);
  return bytes.toHex();
}

Deno.test("a call that is to be direct and is none is refused", () => {
  for (
    const [code, replacement] of [
      ["ff 25 fa 66 00 00", "e8 00 00 00 00"],
      ["ff 15 fa 66 00 00", "e9 00 00 00 00"],
    ] as const
  ) {
    assertThrows(
      () => one(14, code, { replacement, flags: DIRECT_CALL }),
      SyntaxError,
      "calls in an unknown way",
    );
  }
});

Deno.test("a kernel that does not tell of its alternatives or features is refused", () => {
  const unknown = new ImageBuilder();
  unknown.types.struct("alt_instr", 13, []);
  unknown.types.struct("cpuinfo_x86", 64, [
    { name: "x86_capability", type: unknown.types.int("u32", 4), bit: 0 },
  ]);
  unknown.data({ boot_cpu_data: CPU }).section(".altinstructions", TABLE, 26);
  assertThrows(
    () => patchAlternatives(patchingOf(unknown)),
    SyntaxError,
    "of an unknown kind",
  );
  const features = new ImageBuilder();
  features.types.struct("alt_instr", 14, []);
  features.section(".altinstructions", TABLE, 28);
  assertThrows(
    () => patchAlternatives(patchingOf(features)),
    SyntaxError,
    "where its features are",
  );
});
