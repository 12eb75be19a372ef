import { assertEquals, assertThrows } from "@std/assert";
import { KernelFile } from "../kernel_file.ts";
import { elfImage } from "../testing/elf_image.ts";
import { relocateImage } from "./relocate_image.ts";

const LINK_BASE = 0xffff_ffff_8100_0000n;
const DELTA = 0x2a0_0000n;

/** Places to relocate, by what is done there: offsets in the image. */
interface Places {
  add32?: readonly number[];
  /** Left out where the kernel has no such list */
  subtract32?: readonly number[];
  add64?: readonly number[];
}

/** As `relocs` writes them: the parts backwards, each begun by 0. */
function listOf({ add32 = [], subtract32, add64 = [] }: Places): number[] {
  const parts = [add64, ...(subtract32 ? [subtract32] : []), add32];
  return parts.flatMap((part) => [
    0,
    ...part.map((offset) => Number(BigInt.asIntN(32, LINK_BASE)) + offset),
  ]);
}

/** A kernel file with words behind its ELF file, and odd bytes behind them. */
function kernelWith(list: readonly number[], rest = 0): KernelFile {
  const elf = elfImage({
    loads: [{ address: LINK_BASE, bytes: new Uint8Array(64) }],
  }).bytes;
  const bytes = new Uint8Array(elf.length + 4 * list.length + rest);
  bytes.set(elf);
  const view = new DataView(bytes.buffer);
  for (const [index, word] of list.entries()) {
    view.setInt32(elf.length + 4 * index, word, true);
  }
  return new KernelFile("/boot/vmlinux", bytes);
}

/** An image of 64 bytes with known words. */
function image(): DataView<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(64));
  view.setInt32(0, 0x8100_1000 | 0, true);
  view.setInt32(12, -0x100_0000, true);
  view.setBigUint64(24, LINK_BASE + 0x20n, true);
  view.setBigUint64(57 - 1, LINK_BASE, true);
  return view;
}

function relocate(
  view: DataView<ArrayBuffer>,
  kernel: KernelFile,
  delta = DELTA,
): void {
  relocateImage(new Uint8Array(view.buffer), LINK_BASE, delta, kernel);
}

Deno.test("a list of three parts adds, subtracts and adds 64 bits wide", () => {
  const view = image();
  relocate(
    view,
    kernelWith(listOf({ add32: [0], subtract32: [12], add64: [24, 56] })),
  );
  assertEquals(view.getInt32(0, true), (0x8100_1000 | 0) + Number(DELTA));
  assertEquals(view.getInt32(12, true), -0x100_0000 - Number(DELTA));
  assertEquals(view.getBigUint64(24, true), LINK_BASE + 0x20n + DELTA);
  assertEquals(view.getBigUint64(56, true), LINK_BASE + DELTA);
  assertEquals(view.getBigUint64(32, true), 0n);
});

Deno.test("a list of two parts subtracts nothing", () => {
  const view = image();
  relocate(view, kernelWith(listOf({ add32: [0], add64: [24] })));
  assertEquals(view.getInt32(0, true), (0x8100_1000 | 0) + Number(DELTA));
  assertEquals(view.getInt32(12, true), -0x100_0000);
  assertEquals(view.getBigUint64(24, true), LINK_BASE + 0x20n + DELTA);
});

Deno.test("lists whose parts are empty change nothing", () => {
  for (const places of [{}, { subtract32: [] }]) {
    const view = image();
    relocate(view, kernelWith(listOf(places)));
    assertEquals(view, image());
  }
});

Deno.test("bytes behind the last word are not of the list", () => {
  for (const rest of [1, 2, 3]) {
    const view = image();
    relocate(view, kernelWith(listOf({ add64: [24] }), rest));
    assertEquals(view.getBigUint64(24, true), LINK_BASE + 0x20n + DELTA);
  }
});

Deno.test("an image that runs lower than it is linked to is moved down", () => {
  const view = image();
  const places = { add32: [0], subtract32: [12], add64: [24] };
  relocate(view, kernelWith(listOf(places)), -0x80_0000n);
  assertEquals(view.getInt32(0, true), (0x8100_1000 | 0) - 0x80_0000);
  assertEquals(view.getInt32(12, true), -0x100_0000 + 0x80_0000);
  assertEquals(view.getBigUint64(24, true), LINK_BASE + 0x20n - 0x80_0000n);
});

Deno.test("a place that is not wholly in the image is refused", () => {
  const outside: readonly Places[] = [
    { add32: [-1] },
    { add32: [61] },
    { subtract32: [64] },
    { add64: [57] },
    { add64: [-(2 ** 24)] },
    { add64: [0x7f00_0000 - 0x100_0000] },
  ];
  for (const places of outside) {
    assertThrows(
      () => relocate(image(), kernelWith(listOf(places))),
      SyntaxError,
      "/boot/vmlinux relocates what is outside its image",
    );
  }
});

Deno.test("a list that does not end is refused", () => {
  const list = listOf({ add32: [0], add64: [24] });
  for (const cut of [[], list.slice(1), list.slice(-1)]) {
    assertThrows(
      () => relocate(image(), kernelWith(cut)),
      SyntaxError,
      "/boot/vmlinux has no list of relocations",
    );
  }
});

Deno.test("an ELF file that claims to end behind its file has no list", () => {
  const { payload } = kernelWith(listOf({ add64: [24] }));
  for (const end of [payload.length + 1, 2 ** 32 + 8, 2 ** 63]) {
    const bytes = payload.slice();
    const view = new DataView(bytes.buffer);
    view.setBigUint64(32, BigInt(end), true); // e_phoff
    view.setUint16(56, 0, true); // e_phnum
    assertThrows(
      () => relocate(image(), new KernelFile("/boot/vmlinux", bytes)),
      SyntaxError,
      "has no list of relocations",
    );
  }
});
