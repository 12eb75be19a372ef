import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import { seededRandom } from "../testing/seeded_random.ts";
import { Btf } from "./btf.ts";
import { BtfImage, btfKinds } from "./testing/btf_image.ts";

/** What a question may take, ms: more than it takes on a busy machine. */
const LIMIT = 500;
const LARGEST = 64 << 20;

/** Structures as a kernel has them. */
function kernelTypes(): BtfImage {
  const image = new BtfImage();
  const int = image.int("int", 4);
  const char = image.int("char", 1);
  const list = image.struct("list_head", 16, [
    { name: "next", type: 4, bit: 0 },
    { name: "prev", type: 4, bit: 64 },
  ]);
  image.pointer(list);
  const inner = image.union("", 8, [
    { name: "rcu_users", type: image.typedef("refcount_t", int), bit: 0 },
    {
      type: image.struct("", 8, [
        { name: "low", type: int, bit: 0 },
        { name: "high", type: int, bit: 32 },
      ]),
      bit: 0,
    },
  ]);
  const volatile = image.volatile(int);
  const state = image.const(image.typedef("state_t", volatile));
  image.struct("task_struct", 128, [
    { name: "__state", type: state, bit: 0 },
    { name: "tasks", type: list, bit: 64 },
    { type: inner, bit: 192 },
    { name: "comm", type: image.array(char, 16), bit: 256 },
    { name: "table", type: image.array(image.array(list, 3), 2), bit: 384 },
    { name: "parent", type: image.pointer(15), bit: 1152 },
  ]);
  image.struct("flags", 4, [
    { name: "a", type: int, bit: 0, width: 3 },
    { name: "b", type: int, bit: 11, width: 5 },
    { type: image.union("", 4, [{ name: "c", type: int, bit: 0 }]), bit: 16 },
  ]);
  image.enum("system_states", { BOOTING: 0, RUNNING: 3, GONE: -1 });
  return image;
}

Deno.test("sizes of structures are those of the table", () => {
  const btf = new Btf(kernelTypes().bytes);
  assertEquals(btf.sizeOf("task_struct"), 128);
  assertEquals(btf.sizeOf("list_head"), 16);
  for (const other of ["task", "task_structs", "system_states", "int", ""]) {
    assertEquals(btf.sizeOf(other), undefined, other);
  }
});

Deno.test("members are found by name, in anonymous ones at any depth", () => {
  const btf = new Btf(kernelTypes().bytes);
  const member = (path: string) => btf.member("task_struct", path);
  assertEquals(member("tasks"), { offset: 8, size: 16 });
  assertEquals(member("rcu_users"), { offset: 24, size: 4 });
  assertEquals(member("low"), { offset: 24, size: 4 });
  assertEquals(member("high"), { offset: 28, size: 4 });
  for (const other of ["high2", "hig", "next", "tasks.other", "comm.next"]) {
    assertEquals(member(other), undefined, other);
  }
  assertEquals(btf.member("nobody", "tasks"), undefined);
});

Deno.test("a path leads through members that are structures, not through pointers", () => {
  const btf = new Btf(kernelTypes().bytes);
  assertEquals(btf.member("task_struct", "tasks.prev"), {
    offset: 16,
    size: 8,
  });
  assertEquals(btf.member("task_struct", "parent.tasks"), undefined);
  assertEquals(btf.member("task_struct", "tasks.prev.next"), undefined);
});

Deno.test("sizes go through arrays, pointers, typedefs and modifiers", () => {
  const btf = new Btf(kernelTypes().bytes);
  const size = (path: string) => btf.member("task_struct", path)?.size;
  assertEquals(size("__state"), 4);
  assertEquals(size("comm"), 16);
  assertEquals(size("table"), 96);
  assertEquals(size("parent"), 8);
});

Deno.test("a bitfield is where its first bit is", () => {
  const btf = new Btf(kernelTypes().bytes);
  assertEquals(btf.member("flags", "a"), { offset: 0, size: 4 });
  assertEquals(btf.member("flags", "b"), { offset: 1, size: 4 });
  assertEquals(btf.member("flags", "c"), { offset: 2, size: 4 });
});

Deno.test("enumerators have their values", () => {
  const btf = new Btf(kernelTypes().bytes);
  assertEquals(btf.enumerator("system_states", "BOOTING"), 0);
  assertEquals(btf.enumerator("system_states", "RUNNING"), 3);
  assertEquals(btf.enumerator("system_states", "GONE"), -1);
  assertEquals(btf.enumerator("system_states", "OTHER"), undefined);
  assertEquals(btf.enumerator("states", "RUNNING"), undefined);
  assertEquals(btf.enumerator("task_struct", "tasks"), undefined);
});

Deno.test("types of every kind are passed over", () => {
  const image = new BtfImage();
  const words = (count: number) => new Array(count).fill(0);
  const tails: Readonly<Record<number, [number, number]>> = {
    [btfKinds.int]: [1, 0],
    [btfKinds.array]: [3, 0],
    [btfKinds.struct]: [6, 2],
    [btfKinds.union]: [6, 2],
    [btfKinds.enum]: [4, 2],
    [btfKinds.functionPrototype]: [4, 2],
    [btfKinds.variable]: [1, 0],
    [btfKinds.section]: [6, 2],
    [btfKinds.declarationTag]: [1, 0],
    [btfKinds.enum64]: [6, 2],
  };
  for (const kind of Object.values(btfKinds)) {
    const [tail, entries] = tails[kind] ?? [0, 0];
    image.add(kind, `kind ${kind}`, 0, words(tail), entries);
  }
  const double = image.add(btfKinds.float, "double", 8);
  const forward = image.add(btfKinds.forward, "later", 0);
  const tagged = image.add(btfKinds.typeTag, "user", double);
  image.struct("last", 24, [
    { name: "value", type: tagged, bit: 0 },
    { name: "unknown", type: forward, bit: 64 },
    { name: "nothing", type: 0, bit: 128 },
  ]);
  const btf = new Btf(image.bytes);
  assertEquals(btf.size, 19 + 4);
  assertEquals(btf.member("last", "value"), { offset: 0, size: 8 });
  assertEquals(btf.member("last", "unknown"), { offset: 8, size: 0 });
  assertEquals(btf.member("last", "nothing"), { offset: 16, size: 0 });
});

Deno.test("of two structures of one name the first counts, an enumeration does not", () => {
  const image = new BtfImage();
  image.enum("twice", { A: 1 });
  image.struct("twice", 4, []);
  image.struct("twice", 8, []);
  const btf = new Btf(image.bytes);
  assertEquals(btf.sizeOf("twice"), 4);
  assertEquals(btf.enumerator("twice", "A"), 1);
});

Deno.test("a header that is wrong is refused", () => {
  const { bytes } = kernelTypes();
  const size = bytes.length;
  const wrong: readonly (readonly [number, number, string])[] = [
    [0, 0x0001_9feb, "magic"],
    [0, 0x0002_eb9f, "version"],
    [4, 0, "beyond its end"],
    [4, 23, "beyond its end"],
    [4, 0xffff_ffff, "beyond its end"],
    [8, 0xffff_ffff, "beyond its end"],
    [12, size - 23, "beyond its end"],
    [12, 0xffff_ffff, "beyond its end"],
    [16, size, "beyond its end"],
    [20, size, "beyond its end"],
  ];
  for (const [at, value, message] of wrong) {
    const damaged = bytes.slice();
    new DataView(damaged.buffer).setUint32(at, value, true);
    assertThrows(() => new Btf(damaged), SyntaxError, message);
  }
  for (const length of [0, 1, 23, 24, size - 1]) {
    assertThrows(() => new Btf(bytes.subarray(0, length)), SyntaxError);
  }
});

Deno.test("a type that is of no kind or cut off is refused", () => {
  const none = new BtfImage();
  none.add(0, "", 0);
  assertThrows(() => new Btf(none.bytes), SyntaxError, "type 1 is of no kind");
  const unknown = new BtfImage();
  unknown.int("int", 4);
  unknown.add(20, "", 0);
  assertThrows(() => new Btf(unknown.bytes), SyntaxError, "type 2");
  const cut = new BtfImage();
  cut.add(btfKinds.struct, "cut", 4, [0, 0, 0], 2);
  assertThrows(() => new Btf(cut.bytes), SyntaxError, "cut off");
});

Deno.test("names that lie outside the strings are none", () => {
  const { bytes } = kernelTypes();
  const view = new DataView(bytes.buffer);
  // The strings end within the last name
  view.setUint32(20, view.getUint32(20, true) - 1, true);
  const btf = new Btf(bytes);
  assertEquals(btf.sizeOf("flags"), 4);
  assertEquals(btf.enumerator("system_states", "RUNNING"), undefined);
  for (let offset = 1; offset < 2 ** 32; offset *= 3) {
    view.setUint32(24, offset, true);
    assertEquals(new Btf(bytes).sizeOf("nobody"), undefined);
  }
});

Deno.test("types that lead to themselves have no size and no members", () => {
  const image = new BtfImage();
  image.typedef("a", 2);
  image.const(1);
  image.array(3, 2);
  image.struct("loop", 8, [
    { name: "cycle", type: 1, bit: 0 },
    { name: "nest", type: 3, bit: 0 },
    { name: "beyond", type: 0xffff_ffff, bit: 0 },
    { type: 1, bit: 0 },
    { type: 4, bit: 0 },
  ]);
  const btf = new Btf(image.bytes);
  for (const name of ["cycle", "nest", "beyond"]) {
    assertEquals(btf.member("loop", name), { offset: 0, size: 0 });
    assertEquals(btf.member("loop", `${name}.more`), undefined);
  }
  assertEquals(btf.member("loop", "none"), undefined);
});

Deno.test("a member that is larger than memory has no size", () => {
  const image = new BtfImage();
  let type = image.int("int", 4);
  for (let depth = 0; depth < 30; depth++) {
    type = image.array(type, 0xffff_ffff);
  }
  const empty = image.array(image.array(image.int("none", 0), 5), 0xffff_ffff);
  image.struct("large", 8, [
    { name: "all", type, bit: 0 },
    { name: "empty", type: empty, bit: 0 },
  ]);
  const btf = new Btf(image.bytes);
  assertEquals(btf.member("large", "all")?.size, 0);
  assertEquals(btf.member("large", "empty")?.size, 0);
});

Deno.test("anonymous structures that fan out cost little", () => {
  const image = new BtfImage();
  const count = 20;
  for (let level = 1; level <= 31; level++) {
    image.struct(
      level === 1 ? "fan" : "",
      8,
      Array.from({ length: count }, () => ({ type: level + 1, bit: 0 })),
    );
  }
  image.struct("", 8, [{ name: "other", type: 0, bit: 0 }]);
  const btf = new Btf(image.bytes);
  const started = performance.now();
  assertEquals(btf.member("fan", "wanted"), undefined);
  assertEquals(btf.member("fan", "a.b.c.d"), undefined);
  assertLess(performance.now() - started, LIMIT);
});

/** BTF of the greatest size, with a type everywhere. */
function hugeBtf(words: readonly number[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(LARGEST);
  const view = new DataView(bytes.buffer);
  bytes.set(new BtfImage().bytes);
  view.setUint32(12, bytes.length - 24, true);
  view.setUint32(16, 0, true);
  view.setUint32(20, bytes.length - 24, true);
  const all = new Uint32Array(bytes.buffer);
  for (let at = 6; at < all.length; at++) {
    all[at] = words[(at - 6) % words.length]!;
  }
  return bytes;
}

Deno.test("more types than a kernel has are refused early", () => {
  const bytes = hugeBtf([8, btfKinds.struct << 24, 0]);
  const started = performance.now();
  assertThrows(() => new Btf(bytes), SyntaxError, "no end");
  assertLess(performance.now() - started, LIMIT);
});

Deno.test("a million types of one long name are searched fast", () => {
  const bytes = hugeBtf([0x0101_0101]);
  const view = new DataView(bytes.buffer);
  const count = 1_000_000;
  view.setUint32(12, 12 * count, true);
  for (let type = 0; type < count; type++) {
    view.setUint32(24 + 12 * type, 12 * count, true);
    view.setUint32(28 + 12 * type, btfKinds.struct << 24, true);
  }
  const btf = new Btf(bytes);
  assertEquals(btf.size, count);
  const started = performance.now();
  assertEquals(btf.member("\x01".repeat(20), "a"), undefined);
  assertLess(performance.now() - started, LIMIT);
});

Deno.test("a structure of as many members as can be is searched fast", () => {
  const image = new BtfImage();
  const name = image.string("m".repeat(60_000));
  const entries = Array.from({ length: 0xffff }, () => [name, 0, 0]).flat();
  image.add(btfKinds.struct, "wide", 8, entries, 0xffff);
  image.add(btfKinds.enum, "many", 4, entries.slice(0, 2 * 0xffff), 0xffff);
  const btf = new Btf(image.bytes);
  const started = performance.now();
  assertEquals(btf.member("wide", "m".repeat(30)), undefined);
  assertEquals(btf.enumerator("many", "m".repeat(30)), undefined);
  assertLess(performance.now() - started, LIMIT);
});

Deno.test("20,000 tables with random damage are read or refused", () => {
  const random = seededRandom(20_261_125);
  const intact = kernelTypes().bytes;
  let read = 0;
  for (let round = 0; round < 20_000; round++) {
    const bytes = intact.slice(0, intact.length - random(4));
    for (let damage = random(6); damage >= 0; damage--) {
      bytes[random(bytes.length)] = random(256);
    }
    try {
      const btf = new Btf(bytes);
      btf.member("task_struct", "high");
      btf.member("task_struct", "tasks.prev");
      btf.enumerator("system_states", "RUNNING");
      read++;
    } catch (error) {
      assert(error instanceof SyntaxError, `round ${round}: ${error}`);
    }
  }
  assert(read > 1000 && read < 19_000, `${read} were read`);
});
