import { assertThrows } from "@std/assert";
import { assertSameBytes } from "../testing/assert_same_bytes.ts";
import { pipeThrough } from "../testing/pipe_through.ts";
import { unpackGzip } from "./unpack_gzip.ts";

const content = Uint8Array.from({ length: 100_000 }, (_, i) => i * i >> 8);
const packed = await pipeThrough(content, "gzip", "-n", "-9");

Deno.test("what gzip packs is unpacked", () => {
  assertSameBytes(unpackGzip(packed, content.length, "It"), content);
});

Deno.test("another size than the one stated is refused", () => {
  assertThrows(
    () => unpackGzip(packed, content.length - 1, "It"),
    SyntaxError,
    "It unpacks to more than 99999 bytes",
  );
  assertThrows(
    () => unpackGzip(packed, content.length + 1, "It"),
    SyntaxError,
    "It unpacks to 100000 bytes, not to the 100001 bytes it states",
  );
});

Deno.test("a file that is damaged or cut short is refused with the reason", () => {
  assertThrows(
    () => unpackGzip(packed.subarray(0, -9), content.length, "It"),
    SyntaxError,
    "It is damaged: unexpected end of file",
  );
  const damaged = packed.slice();
  damaged[packed.length - 8]! ^= 1;
  assertThrows(
    () => unpackGzip(damaged, content.length, "It"),
    SyntaxError,
    "It is damaged: incorrect data check",
  );
});
