import { assertEquals } from "@std/assert";
import { buildId } from "./build_id.ts";
import { hex, ImageBuilder } from "./testing/image_builder.ts";

const NOTES = 0x3000;
/** `Xen` 7, and 4 bytes */
const XEN = "04000000 04000000 07000000 58656e00 01000000";
const GNU = "04000000 14000000 03000000 474e5500" +
  "00112233445566778899aabbccddeeff01020304";
const ID = "00112233445566778899aabbccddeeff01020304";

function idOf(notes: string, size = hex(notes).length): string | undefined {
  const builder = new ImageBuilder();
  builder.put(NOTES, hex(notes)).data({
    __start_notes: NOTES,
    __stop_notes: NOTES + size,
  });
  return buildId(builder.build());
}

Deno.test("the build id is found among other notes", () => {
  assertEquals(idOf(GNU), ID);
  assertEquals(idOf(XEN + GNU + XEN), ID);
  // A name and contents that are padded to 4 bytes
  assertEquals(
    idOf(`05000000 01000000 07000000 4c696e7578000000 ff000000${GNU}`),
    ID,
  );
});

Deno.test("a note of another owner or type is none", () => {
  assertEquals(idOf(XEN), undefined);
  assertEquals(idOf(GNU.replace("03000000", "01000000")), undefined);
  assertEquals(idOf(GNU.replace("474e5500", "58656e00")), undefined);
});

Deno.test("a kernel without notes has none", () => {
  assertEquals(buildId(new ImageBuilder().build()), undefined);
  assertEquals(idOf("", 0), undefined);
});

Deno.test("notes that reach beyond their end are none", () => {
  const { length } = hex(GNU);
  for (const size of [8, 16, length - 4]) {
    assertEquals(idOf(GNU, size), undefined);
  }
  for (const forged of ["ffffffff", "fcffff7f"]) {
    assertEquals(idOf(forged + GNU.slice(8)), undefined);
    assertEquals(idOf(GNU.replace("14000000", forged)), undefined);
  }
  // More than the image has
  const builder = new ImageBuilder(0x4000);
  builder.put(0x3ff0, hex("04000000 14000000 03000000 474e5500")).data({
    __start_notes: 0x3ff0,
    __stop_notes: 0x4000,
  });
  assertEquals(buildId(builder.build()), undefined);
});

Deno.test("absurdly many notes are not looked at", () => {
  const builder = new ImageBuilder(0x40000);
  builder.put(NOTES, hex(GNU)).data({
    __start_notes: NOTES,
    __stop_notes: NOTES + 65_537,
  });
  assertEquals(buildId(builder.build()), undefined);
});
