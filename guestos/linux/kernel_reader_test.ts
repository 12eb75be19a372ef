import { assertEquals, assertThrows } from "@std/assert";
import { UnreadableMemoryError } from "../memory.ts";
import { Btf } from "./btf.ts";
import { EndlessListError, KernelReader } from "./kernel_reader.ts";
import { BtfImage } from "./testing/btf_image.ts";
import { KernelBytes } from "./testing/kernel_bytes.ts";

const HEAP = 0xffff_8880_0000_0000n;
const HEAD = HEAP + 0x10n;

function setUp() {
  const types = new BtfImage();
  const u32 = types.int("u32", 4);
  const u64 = types.int("u64", 8);
  const list = types.struct("list_head", 16, [
    { name: "next", type: u64, bit: 0 },
    { name: "prev", type: u64, bit: 64 },
  ]);
  types.struct("item", 40, [
    { name: "value", type: u64, bit: 0 },
    { name: "count", type: u32, bit: 64 },
    { name: "link", type: list, bit: 128 },
  ]);
  const memory = new KernelBytes();
  memory.write(HEAP, new Uint8Array(0x2000));
  return { memory, reader: new KernelReader(memory, new Btf(types.bytes)) };
}

/** Addresses of the items on the list, of which each is at a place. */
function linked(places: readonly bigint[], last: bigint) {
  const { memory, reader } = setUp();
  let link = HEAD;
  for (const place of places) {
    memory.u64(link, place + 16n);
    link = place + 16n;
  }
  memory.u64(link, last);
  return reader.list(HEAD, "item", "link", 5);
}

Deno.test("numbers, pointers and members are read by address", () => {
  const { memory, reader } = setUp();
  memory.u64(HEAP + 0x100n, 0x1122_3344_5566_7788n);
  memory.u32(HEAP + 0x108n, 0xffff_fffe);
  assertEquals(reader.u64(HEAP + 0x100n), 0x1122_3344_5566_7788n);
  assertEquals(reader.u32(HEAP + 0x104n), 0x1122_3344);
  assertEquals(
    reader.pointer(HEAP + 0x100n, "item", "value"),
    0x1122_3344_5566_7788n,
  );
  assertEquals(reader.number(HEAP + 0x100n, "item", "count"), 0xffff_fffe);
  assertEquals(reader.member(HEAP, "item", "link.prev"), HEAP + 24n);
});

Deno.test("a member that a kernel has not is an error that names it", () => {
  const { reader } = setUp();
  for (let time = 0; time < 2; time++) {
    assertThrows(
      () => reader.member(HEAP, "item", "other"),
      SyntaxError,
      "struct item has no member other",
    );
    assertEquals(reader.find("item", "other"), undefined);
    assertEquals(reader.find("item", "link"), { offset: 16, size: 16 });
  }
});

Deno.test("bytes may cross pages, and the end of the address space", () => {
  const { memory, reader } = setUp();
  memory.write(HEAP + 0xffen, [1, 2, 3, 4]);
  assertEquals([...reader.bytes(HEAP + 0xffen, 4)], [1, 2, 3, 4]);
  memory.write(2n ** 64n - 2n, [5, 6, 7, 8]);
  assertEquals([...reader.bytes(2n ** 64n - 2n, 4)], [5, 6, 7, 8]);
  assertEquals([...reader.bytes(-2n, 4)], [5, 6, 7, 8]);
});

Deno.test("a page is read once", () => {
  const { memory, reader } = setUp();
  reader.u64(HEAP);
  memory.u64(HEAP + 8n, 7n);
  assertEquals(reader.u64(HEAP + 8n), 0n);
  assertEquals(memory.reads, 1);
});

Deno.test("text ends at its NUL or where it is cut, and is printable", () => {
  const { memory, reader } = setUp();
  memory.write(HEAP, new TextEncoder().encode("lab\0rest"));
  assertEquals(reader.text(HEAP, 56), "lab");
  assertEquals(reader.text(HEAP, 2), "la");
  assertEquals(reader.text(HEAP, 0), "");
  memory.write(HEAP + 0x1000n, [0x1b, 0x7f, 0x80, 0xff, 0x0a, 0x41]);
  assertEquals(reader.text(HEAP + 0x1000n, 6), "?????A");
  assertThrows(() => reader.text(HEAP + 0x1ffcn, 8), UnreadableMemoryError);
});

Deno.test("a list gives the structures that are on it, in order", () => {
  const places = [HEAP + 0x300n, HEAP + 0x100n, HEAP + 0x200n];
  assertEquals([...linked(places, HEAD)], places);
  assertEquals([...linked([], HEAD)], []);
  // One that was never begun
  assertEquals([...linked([], 0n)], []);
});

Deno.test("a list that is as long as may be ends, a longer one is broken", () => {
  const places = [1n, 2n, 3n, 4n, 5n].map((n) => HEAP + 0x100n * n);
  assertEquals([...linked(places, HEAD)], places);
  const longer = linked([...places, HEAP + 0x600n], HEAD);
  assertEquals(longer.take(5).toArray(), places);
  assertThrows(
    () => [...linked([...places, HEAP + 0x600n], HEAD)],
    EndlessListError,
  );
});

Deno.test("a list that comes back elsewhere than to its head is broken", () => {
  const places = [HEAP + 0x100n, HEAP + 0x200n];
  for (const place of places) {
    assertThrows(() => [...linked(places, place + 16n)], EndlessListError);
  }
});

Deno.test("a list that leads to memory that cannot be read gives what it has before", () => {
  const list = linked([HEAP + 0x100n], HEAP + 0x9000n);
  assertEquals(list.next().value, HEAP + 0x100n);
  assertEquals(list.next().value, HEAP + 0x9000n - 16n);
  assertThrows(() => list.next(), UnreadableMemoryError);
});
