import { assertEquals } from "@std/assert";
import { hex, ImageBuilder } from "../testing/image_builder.ts";
import { patchingOf } from "../testing/patching.ts";
import { patchRetpolines } from "./retpolines.ts";

/** Where the thunks are: one for each register, 32 bytes each */
const THUNKS = 0x1000;

/** Calls and jumps to thunks, and what each way of calling makes of them. */
const SITES: readonly {
  readonly name: string;
  /** Bytes before the distance, and the register */
  readonly code: string;
  readonly register: number;
  readonly direct: string;
  readonly lfence: string;
  readonly paddedDirect: string;
  readonly paddedLfence: string;
}[] = [
  {
    name: "call of rax",
    code: "e8",
    register: 0,
    direct: "ff d0 0f 1f 00",
    lfence: "0f ae e8 ff d0",
    paddedDirect: "2e 2e 2e ff d0",
    paddedLfence: "0f ae e8 ff d0",
  },
  {
    name: "jump to rcx",
    code: "e9",
    register: 1,
    direct: "ff e1 cc 66 90",
    lfence: "0f ae e8 ff e1",
    paddedDirect: "ff e1 cc cc cc",
    paddedLfence: "0f ae e8 ff e1",
  },
  {
    name: "call of r11 with a prefix",
    code: "2e e8",
    register: 11,
    direct: "41 ff d3 0f 1f 00",
    lfence: "0f ae e8 41 ff d3",
    paddedDirect: "2e 2e 2e 41 ff d3",
    paddedLfence: "0f ae e8 41 ff d3",
  },
  {
    name: "jump to r15 with a prefix",
    code: "2e e9",
    register: 15,
    direct: "41 ff e7 cc 66 90",
    lfence: "0f ae e8 41 ff e7",
    paddedDirect: "41 ff e7 cc cc cc",
    paddedLfence: "0f ae e8 41 ff e7",
  },
  {
    name: "jne to r11: je over a jump; with lfence it would be too long",
    code: "0f 85",
    register: 11,
    direct: "74 04 41 ff e3 cc",
    lfence: "",
    paddedDirect: "74 04 41 ff e3 cc",
    paddedLfence: "",
  },
  {
    name: "je to rsi: jne over a jump",
    code: "0f 84",
    register: 6,
    direct: "75 04 ff e6 cc 90",
    lfence: "",
    paddedDirect: "75 04 ff e6 cc cc",
    paddedLfence: "",
  },
  {
    name: "call of r8 without a prefix; with lfence it would be too long",
    code: "e8",
    register: 8,
    direct: "41 ff d0 66 90",
    lfence: "",
    paddedDirect: "2e 2e 41 ff d0",
    paddedLfence: "",
  },
  {
    name: "call of rdx with a prefix: four bytes are too many for prefixes",
    code: "2e e8",
    register: 2,
    direct: "ff d2 0f 1f 40 00",
    lfence: "0f ae e8 ff d2 90",
    paddedDirect: "ff d2 0f 1f 40 00",
    paddedLfence: "0f ae e8 2e ff d2",
  },
  {
    name: "jump to rdx with a prefix",
    code: "2e e9",
    register: 2,
    direct: "ff e2 cc 0f 1f 00",
    lfence: "0f ae e8 ff e2 cc",
    paddedDirect: "ff e2 cc cc cc cc",
    paddedLfence: "0f ae e8 ff e2 cc",
  },
];

type Mode = "direct" | "lfence" | "paddedDirect" | "paddedLfence";
const MODES = ["direct", "lfence", "paddedDirect", "paddedLfence"] as const;

function siteAt(index: number): number {
  return 0x100 + 16 * index;
}

/** A kernel with all sites as in its file. */
function kernel(altInstr = 14): ImageBuilder {
  const builder = new ImageBuilder();
  builder.types.struct("alt_instr", altInstr, []);
  builder.symbol("__x86_indirect_thunk_array", THUNKS);
  for (const [index, { code, register }] of SITES.entries()) {
    const at = siteAt(index);
    const distance = at + hex(code).length;
    builder.put(at, hex(code))
      .s32(distance, THUNKS + 32 * register - distance - 4)
      .put(distance + 4, [0xee]);
  }
  return builder.relative(
    ".retpoline_sites",
    0x5000,
    SITES.map((_, i) => siteAt(i)),
  );
}

/** What a guest has at each site; as in the file where a way does not fit. */
function guestOf(
  mode: Mode,
  sites: Iterable<number> = SITES.keys(),
): Map<number, Uint8Array> {
  const guest = new Map<number, Uint8Array>();
  for (const index of sites) {
    const code = hex(SITES[index]![mode]);
    if (code.length > 0) guest.set(siteAt(index), code);
  }
  return guest;
}

/** What the text has at each site after the patching. */
function patched(
  builder: ImageBuilder,
  guest: Map<number, Uint8Array>,
): string[] {
  const patching = patchingOf(builder, { guest });
  patchRetpolines(patching);
  return SITES.map(({ code }, index) => {
    const at = siteAt(index);
    const length = hex(code).length + 4;
    assertEquals(patching.text[at + length], 0xee);
    return patching.text.subarray(at, at + length).toHex();
  });
}

function original(index: number): string {
  const { code } = SITES[index]!;
  const at = siteAt(index);
  return kernel().bytes.subarray(at, at + hex(code).length + 4).toHex();
}

Deno.test("each way of calling through a register is told by the sites", () => {
  for (const mode of MODES) {
    const expected = SITES.map((site, index) =>
      site[mode] === "" ? original(index) : hex(site[mode]).toHex()
    );
    assertEquals(patched(kernel(), guestOf(mode)), expected, mode);
  }
});

Deno.test("an older kernel fills its gaps the same way here", () => {
  const expected = SITES.map(({ direct }) => hex(direct).toHex());
  assertEquals(patched(kernel(12), guestOf("direct")), expected);
});

Deno.test("a kernel that uses its thunks keeps the code of its file", () => {
  const expected = SITES.map((_, index) => original(index));
  assertEquals(patched(kernel(), new Map()), expected);
});

Deno.test("what most sites show must be at all", () => {
  // A site that still has the thunk, and one that calls through another register
  const guest = guestOf("direct", [0, 2, 3, 4, 5, 6, 7]);
  guest.set(siteAt(2), hex("41 ff d4 0f 1f 00"));
  assertEquals(
    patched(kernel(), guest),
    SITES.map(({ direct }) => hex(direct).toHex()),
  );
});

Deno.test("what is no call of a thunk is left alone", () => {
  const builder = kernel();
  const places = [0x300, 0x310, 0x320, 0x330];
  const codes = [
    // Behind the last thunk, between two, mov, a short jump
    ["e8", THUNKS + 32 * 16],
    ["e8", THUNKS + 5],
    ["b8", THUNKS],
    ["eb 00 90", THUNKS],
  ] as const;
  for (const [index, [code, target]] of codes.entries()) {
    const at = places[index]!;
    const distance = at + hex(code).length;
    builder.put(at, hex(code)).s32(distance, target - distance - 4);
  }
  builder.relative(".retpoline_sites", 0x5000, [
    ...SITES.map((_, index) => siteAt(index)),
    ...places,
  ]);
  const patching = patchingOf(builder, { guest: guestOf("direct") });
  const before = places.map((at) => patching.text.slice(at, at + 8).toHex());
  patchRetpolines(patching);
  assertEquals(
    places.map((at) => patching.text.slice(at, at + 8).toHex()),
    before,
  );
});

Deno.test("code that replaces other code is patched as well, and tells nothing", () => {
  const builder = kernel();
  const places = Array.from({ length: 20 }, (_, index) => 0x4000 + 8 * index);
  for (const at of places) {
    builder.put(at, hex("e8")).s32(at + 1, THUNKS - at - 5);
  }
  builder.relative(".retpoline_sites", 0x5000, [
    ...places,
    ...SITES.map((_, index) => siteAt(index)),
    // Behind the image
    0xfffe,
  ]);
  const patching = patchingOf(builder, { guest: guestOf("direct") });
  patchRetpolines(patching);
  assertEquals(
    places.map((at) => patching.text.slice(at, at + 5).toHex()),
    places.map(() => "ffd00f1f00"),
  );
});

Deno.test("a kernel without thunks has nothing to patch", () => {
  const builder = new ImageBuilder();
  builder.types.struct("alt_instr", 14, []);
  builder.put(0x100, hex("e8 00 00 00 00"));
  builder.relative(".retpoline_sites", 0x5000, [0x100]);
  const patching = patchingOf(builder);
  const before = patching.text.slice();
  patchRetpolines(patching);
  assertEquals(patching.text, before);
});
