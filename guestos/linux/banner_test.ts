import { assertEquals, assertThrows } from "@std/assert";
import { UnreadableMemoryError } from "../memory.ts";
import { bannerOf, readBanner } from "./banner.ts";
import { BASE, ImageBuilder } from "./testing/image_builder.ts";
import { KernelBytes } from "./testing/kernel_bytes.ts";

const AT = 0x3000;

function setUp(text: string) {
  const memory = new KernelBytes();
  const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
  memory.write(BASE + BigInt(AT), bytes);
  const image = new ImageBuilder().put(AT, bytes).data({ linux_banner: AT })
    .build();
  return { memory, image };
}

Deno.test("a banner ends with its line", () => {
  for (const end of ["\n\0", "\0", "\n"]) {
    const { memory, image } = setUp(`Linux version 6.1.0 (lab)${end}rest`);
    assertEquals(readBanner(image, memory), "Linux version 6.1.0 (lab)");
    assertEquals(bannerOf(image), "Linux version 6.1.0 (lab)");
  }
});

Deno.test("what is not printable is not taken over", () => {
  const { memory, image } = setUp("a\x1b[31m\xe9\x7f\0");
  assertEquals(readBanner(image, memory), "a?[31m??");
});

Deno.test("a banner without an end is cut off", () => {
  const { memory, image } = setUp("x".repeat(2000));
  assertEquals(readBanner(image, memory), "x".repeat(512));
  assertEquals(bannerOf(image), "x".repeat(512));
});

Deno.test("the guest's memory tells, not the image", () => {
  const { memory, image } = setUp("Linux version 6.1.0\n");
  memory.write(BASE + BigInt(AT), [0x4d]);
  assertEquals(readBanner(image, memory), "Minux version 6.1.0");
  memory.unmap(BASE + BigInt(AT));
  assertThrows(() => readBanner(image, memory), UnreadableMemoryError);
});

Deno.test("a kernel without a banner is refused", () => {
  const image = new ImageBuilder().build();
  assertThrows(() => bannerOf(image), SyntaxError, "linux_banner");
});
