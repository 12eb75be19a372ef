import { assertEquals } from "@std/assert";
import { LinuxImage } from "../linux_image.ts";
import { hex, ImageBuilder } from "../testing/image_builder.ts";
import { patchingOf } from "../testing/patching.ts";
import { branch, JUMP } from "../x86_branch.ts";
import { jumpLabels } from "./jump_labels.ts";

const TABLE = 0x3000;
const KEY = 0x6000;
const NOP5 = "0f1f440000";
const BRANCH = 1;
const INIT = 2;

interface Label {
  readonly at: number;
  readonly code: string;
  readonly target: number;
  readonly flags?: number;
}

function kernel(labels: readonly Label[], count = 0): ImageBuilder {
  const builder = new ImageBuilder();
  for (const [index, { at, code, target, flags = 0 }] of labels.entries()) {
    const entry = TABLE + 16 * index;
    builder.put(at, hex(code))
      .s32(entry, at - entry)
      .s32(entry + 4, target - entry - 4)
      .u64(entry + 8, BigInt((KEY | flags) - entry - 8));
  }
  builder.s32(KEY, count).data({
    __start___jump_table: TABLE,
    __stop___jump_table: TABLE + 16 * labels.length,
  });
  return builder;
}

/** Place and form of each label that a count makes. */
function forms(
  labels: readonly Label[],
  count: number,
  end?: number,
): [number, string][] {
  const patching = patchingOf(
    kernel(labels, count),
    end === undefined ? {} : { end },
  );
  return [...jumpLabels(patching)].map(({ at, size, forms }) => {
    const [form, ...rest] = forms(patching.guest);
    assertEquals(rest, []);
    assertEquals(form!.length, size);
    return [at, form!.toHex()];
  });
}

Deno.test("a label stays or jumps by the count of its key", () => {
  const label = { at: 0x100, code: NOP5, target: 0x400 };
  const jump = branch(JUMP, 0x100, 0x400).toHex();
  assertEquals(forms([label], 0), [[0x100, NOP5]]);
  assertEquals(forms([label], 1), [[0x100, jump]]);
  assertEquals(forms([label], 7), [[0x100, jump]]);
  // In the midst of being switched on
  assertEquals(forms([label], -1), [[0x100, NOP5]]);
  assertEquals(forms([{ ...label, flags: INIT }], 1), [[0x100, jump]]);
});

Deno.test("a label may be the other way round", () => {
  const label = { at: 0x100, code: NOP5, target: 0x400, flags: BRANCH };
  const jump = branch(JUMP, 0x100, 0x400).toHex();
  assertEquals(forms([label], 0), [[0x100, jump]]);
  assertEquals(forms([label], 1), [[0x100, NOP5]]);
  assertEquals(forms([{ ...label, flags: BRANCH | INIT }], 0), [[0x100, jump]]);
});

Deno.test("the code in the file tells whether a label has two bytes or five", () => {
  const labels = [
    { at: 0x100, code: "66 90", target: 0x140 },
    { at: 0x110, code: "eb 00", target: 0x100 },
    { at: 0x120, code: "e9 00 00 00 00", target: 0x100 },
  ];
  assertEquals(forms(labels, 0), [
    [0x100, "6690"],
    [0x110, "6690"],
    [0x120, NOP5],
  ]);
  assertEquals(forms(labels, 1), [
    [0x100, "eb3e"],
    [0x110, "ebee"],
    [0x120, "e9dbffffff"],
  ]);
});

Deno.test("labels in code that was freed are left out", () => {
  const short = (at: number) => ({ at, code: "66 90", target: 0x140 });
  const long = (at: number) => ({ at, code: NOP5, target: 0x140 });
  assertEquals(forms([short(0x1fe)], 0, 0x200), [[0x1fe, "6690"]]);
  assertEquals(forms([short(0x1ff)], 0, 0x200), []);
  assertEquals(forms([long(0x1fb)], 0, 0x200), [[0x1fb, NOP5]]);
  assertEquals(forms([long(0x1fc)], 0, 0x200), []);
});

Deno.test("a table is read where an image is part of larger bytes", () => {
  const labels = [{ at: 0x100, code: NOP5, target: 0x400 }];
  const builder = kernel(labels);
  const small = patchingOf(builder);
  const larger = new Uint8Array(builder.bytes.length + 64);
  larger.set(builder.bytes, 64);
  const { base, symbols, btf } = small.image;
  const image = new LinuxImage({
    base,
    symbols,
    btf,
    bytes: larger.subarray(64),
    sections: new Map(),
    isOfFile: false,
  });
  const places = [...jumpLabels({ ...small, image })].map(({ at }) => at);
  assertEquals(places, [0x100]);
});

Deno.test("a kernel may have no labels", () => {
  assertEquals([...jumpLabels(patchingOf(new ImageBuilder()))], []);
});
