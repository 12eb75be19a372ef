import { assertEquals, assertThrows } from "@std/assert";
import { UnreadableMemoryError } from "../memory.ts";
import { GuestReader } from "./guest_reader.ts";
import { BASE, hex } from "./testing/image_builder.ts";
import { KernelBytes } from "./testing/kernel_bytes.ts";

function setUp() {
  const memory = new KernelBytes();
  memory.write(BASE, Uint8Array.from({ length: 0x3000 }, (_, at) => at));
  return { memory, reader: new GuestReader(memory, BASE) };
}

Deno.test("values are read by their offset, little-endian", () => {
  const { reader } = setUp();
  assertEquals(reader.u8(0x12), 0x12);
  assertEquals(reader.u64(0x10), 0x1716_1514_1312_1110n);
  assertEquals(reader.s32(0x10), 0x1312_1110);
  assertEquals(reader.s32(0xfc), 0xfffe_fdfc | 0);
});

Deno.test("values and bytes may cross pages", () => {
  const { reader } = setUp();
  assertEquals(reader.s32(0xffe), 0x0100_fffe);
  assertEquals(reader.u64(0xffc), 0x0302_0100_fffe_fdfcn);
  assertEquals(reader.bytes(0xfff, 0x1002).length, 0x1002);
  assertEquals([...reader.bytes(0x1ffe, 4)], [0xfe, 0xff, 0, 1]);
});

Deno.test("a pointer is an offset, and null is none", () => {
  const { memory, reader } = setUp();
  memory.u64(BASE + 8n, BASE + 0x1234n);
  memory.u64(BASE + 16n, 0n);
  memory.u64(BASE + 24n, BASE - 8n);
  assertEquals(
    [8, 16, 24].map((at) => reader.pointer(at)),
    [0x1234, undefined, -8],
  );
});

Deno.test("a page is read once", () => {
  const { memory, reader } = setUp();
  reader.u8(0x10);
  memory.write(BASE + 0x11n, hex("ee"));
  assertEquals(reader.u8(0x11), 0x11);
  assertEquals(reader.bytes(0x10, 2), hex("10 11"));
  assertEquals(memory.reads, 1);
});

Deno.test("bytes are a copy", () => {
  const { reader } = setUp();
  reader.bytes(0x10, 4).fill(0);
  assertEquals(reader.u8(0x10), 0x10);
});

Deno.test("memory that cannot be read is an error each time", () => {
  const { reader } = setUp();
  for (let time = 0; time < 2; time++) {
    assertThrows(() => reader.u8(0x3000), UnreadableMemoryError);
    assertThrows(() => reader.bytes(0x2fff, 2), UnreadableMemoryError);
  }
});
