import { assertThrows } from "@std/assert";
import { assertSameBytes } from "../testing/assert_same_bytes.ts";
import { pipeThrough } from "../testing/pipe_through.ts";
import { seededRandom } from "../testing/seeded_random.ts";
import { unpackZstd } from "./unpack_zstd.ts";

const random = seededRandom(5);
/** Bytes that give packed, raw and repeated blocks. */
const content = Uint8Array.from(
  { length: 600_000 },
  (_, i) => i < 200_000 ? i >> 4 : i < 400_000 ? random(256) : 7,
);

Deno.test("a frame is unpacked whatever its header tells", async () => {
  for (const size of [1, 255, 256, 65_791, 65_792, content.length]) {
    const original = content.slice(0, size);
    for (
      const options of [
        ["-19"],
        ["-1", "--no-check"],
        ["-3", `--stream-size=${size}`],
        ["-3", `--stream-size=${size}`, "--no-check"],
      ]
    ) {
      const packed = await pipeThrough(original, "zstd", ...options);
      assertSameBytes(
        unpackZstd(packed, size, "It"),
        original,
        options.join(" "),
      );
    }
  }
});

Deno.test("a frame that is cut short is refused, also one without checksum", async () => {
  for (const option of ["--check", "--no-check"]) {
    const packed = await pipeThrough(content, "zstd", option);
    for (let size = 0; size < packed.length; size += 1 + (size >> 3)) {
      assertThrows(
        () => unpackZstd(packed.subarray(0, size), content.length, "It"),
        SyntaxError,
        "It is no whole Zstandard frame",
      );
    }
    assertThrows(
      () => unpackZstd(packed.subarray(0, -1), content.length, "It"),
      SyntaxError,
      "It is no whole Zstandard frame",
    );
  }
});

Deno.test("what follows the frame is refused, also a second one", async () => {
  const packed = await pipeThrough(content.slice(0, 300_000), "zstd");
  for (const more of [new Uint8Array(1), packed]) {
    assertThrows(
      () => unpackZstd(new Uint8Array([...packed, ...more]), 600_000, "It"),
      SyntaxError,
      "It goes on after its end",
    );
  }
});

Deno.test("a block of a kind that does not exist is refused", async () => {
  const packed = await pipeThrough(content, "zstd");
  // The magic, one byte that describes the header, and one of the window
  packed[6]! |= 6;
  assertThrows(
    () => unpackZstd(packed, content.length, "It"),
    SyntaxError,
    "It is no whole Zstandard frame",
  );
});

Deno.test("a wrong checksum is refused", async () => {
  const packed = await pipeThrough(content, "zstd");
  packed[packed.length - 1]! ^= 1;
  assertThrows(
    () => unpackZstd(packed, content.length, "It"),
    SyntaxError,
    "It is damaged: ",
  );
});

Deno.test("zeros that unpack to far more than is stated are refused soon", async () => {
  const packed = await pipeThrough(new Uint8Array(100_000_000), "zstd");
  assertThrows(
    () => unpackZstd(packed, 1000, "It"),
    SyntaxError,
    "It unpacks to more than 1000 bytes",
  );
});
