import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertLess,
  assertThrows,
} from "@std/assert";
import { kernelImagePayload } from "./kernel_image_payload.ts";
import { assertSameBytes } from "./testing/assert_same_bytes.ts";
import { bzImage } from "./testing/bz_image.ts";
import { elfImage } from "./testing/elf_image.ts";
import { packedKernel } from "./testing/packed_kernel.ts";
import { seededRandom } from "./testing/seeded_random.ts";

const COMPRESSIONS = ["gzip", "xz", "lz4", "zstd"] as const;
const MAX_SIZE = 512 * 1024 * 1024;

/** A small kernel, and a list of relocations after it. */
const kernel = new Uint8Array([
  ...elfImage({
    loads: [{
      address: 0xffffffff81000000n,
      bytes: Uint8Array.from({ length: 2000 }, (_, i) => i * i >> 4),
    }],
    symbols: [{ name: "_text", address: 0xffffffff81000000n }],
  }).bytes,
  ...[0, 0x81000123, 0x81000456].flatMap((
    word,
  ) => [...new Uint8Array(Uint32Array.of(word).buffer)]),
]);

/** Payloads of the kernel, by their compression. */
const payloads = Object.fromEntries(
  await Promise.all(
    COMPRESSIONS.map(async (name) => [name, await packedKernel(kernel, name)]),
  ),
) as Record<typeof COMPRESSIONS[number], Uint8Array<ArrayBuffer>>;

function refused(bytes: Uint8Array, message: string) {
  const error = assertThrows(
    () => kernelImagePayload(bytes, "/boot/vmlinuz"),
    SyntaxError,
    message,
  );
  assert(error.message.includes("/boot/vmlinuz"), error.message);
  assert(!error.message.includes("\n"), error.message);
}

Deno.test("an ELF file is its own payload", () => {
  assert(kernelImagePayload(kernel, "/boot/vmlinux") === kernel);
});

for (const name of COMPRESSIONS) {
  Deno.test(`a payload that ${name} packed is the kernel and its relocations`, () => {
    for (const setupSectors of [0, 1, 27, 255]) {
      const { bytes } = bzImage({ payload: payloads[name], setupSectors });
      assertSameBytes(kernelImagePayload(bytes, "/boot/vmlinuz"), kernel);
    }
  });

  Deno.test(`a size that is not what ${name} unpacks to is refused`, () => {
    for (const size of [1, kernel.length - 1, kernel.length + 1, MAX_SIZE]) {
      const { bytes, view, payloadAt } = bzImage({ payload: payloads[name] });
      view.setUint32(payloadAt + payloads[name].length - 4, size, true);
      refused(bytes, `The ${name} payload of /boot/vmlinuz `);
    }
    for (const size of [0, MAX_SIZE + 1, 2 ** 32 - 1]) {
      const { bytes, view, payloadAt } = bzImage({ payload: payloads[name] });
      view.setUint32(payloadAt + payloads[name].length - 4, size, true);
      refused(bytes, `states to unpack to ${size} bytes`);
    }
  });

  Deno.test(`a payload that ${name} packed is refused if any part of it lacks`, () => {
    const payload = payloads[name];
    const trailer = payload.subarray(-4);
    for (let size = 8; size < payload.length - 4; size += 3) {
      const cut = new Uint8Array([...payload.subarray(0, size), ...trailer]);
      refused(bzImage({ payload: cut }).bytes, "payload of /boot/vmlinuz");
    }
  });

  Deno.test(`a payload that ${name} packed is refused if it goes on`, () => {
    const payload = payloads[name];
    for (const more of [[0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7, 8]]) {
      const longer = new Uint8Array([
        ...payload.subarray(0, -4),
        ...more,
        ...payload.subarray(-4),
      ]);
      refused(bzImage({ payload: longer }).bytes, "payload of /boot/vmlinuz");
    }
  });

  Deno.test(`damage in what ${name} packed gives no other kernel unseen`, () => {
    const random = seededRandom(name.length);
    let unpacked = 0;
    for (let round = 0; round < 1500; round++) {
      const { bytes, payloadAt } = bzImage({ payload: payloads[name] });
      const length = payloads[name].length;
      // Every other time at an end, where the headers are
      const span = round % 2 === 0 ? length : 40;
      const from = round % 4 === 1 ? length - span : 0;
      for (let i = random(3); i >= 0; i--) {
        bytes[payloadAt + from + random(span)] = random(256);
      }
      const started = performance.now();
      try {
        const payload = kernelImagePayload(bytes, "/boot/vmlinuz");
        unpacked++;
        // LZ4's format is the one that has no checksum
        if (name === "lz4") assertEquals(payload.length, kernel.length);
        else assertSameBytes(payload, kernel);
      } catch (error) {
        assertInstanceOf(error, SyntaxError, `round ${round}: ${error}`);
      }
      assertLess(performance.now() - started, 2000, `round ${round}`);
    }
    assertLess(unpacked, 1000);
  });
}

Deno.test("a header that lies is refused", () => {
  const random = seededRandom(7);
  const { bytes: whole } = bzImage({ payload: payloads.lz4 });
  for (let round = 0; round < 2000; round++) {
    const bytes = whole.slice();
    for (let i = random(4); i >= 0; i--) {
      bytes[0x1f1 + random(0x250 - 0x1f1)] = random(256);
    }
    try {
      assertSameBytes(kernelImagePayload(bytes, "/boot/vmlinuz"), kernel);
    } catch (error) {
      assertInstanceOf(error, SyntaxError, `round ${round}: ${error}`);
    }
  }
});

Deno.test("a payload outside the file or of no size is refused", () => {
  const length = payloads.xz.length;
  for (
    const [at, value] of [
      [0x248, 0xffffffff],
      [0x248, length + 73],
      [0x24c, 0xffffffff],
      [0x24c, length + 73],
    ] as const
  ) {
    const { bytes, view } = bzImage({ payload: payloads.xz });
    view.setUint32(at, value, true);
    refused(bytes, "reaches beyond its end");
  }
  for (const size of [0, 3, 8]) {
    const { bytes, view } = bzImage({ payload: payloads.xz });
    view.setUint32(0x24c, size, true);
    refused(bytes, `has ${size} bytes only`);
  }
});

Deno.test("a bzImage that is cut short is refused wherever it ends", () => {
  const { bytes } = bzImage({ payload: payloads.zstd });
  refused(bytes.subarray(0, 0x206), "ends in its header");
  refused(bytes.subarray(0, 0x24f), "ends in its header");
  refused(bytes.subarray(0, 0x250), "reaches beyond its end");
  refused(bytes.subarray(0, -73), "reaches beyond its end");
  assertSameBytes(kernelImagePayload(bytes.subarray(0, -72), "cut"), kernel);
});

Deno.test("a boot protocol that tells no payload is refused by its version", () => {
  const old = bzImage({ payload: payloads.gzip, version: 0x0207 });
  refused(old.bytes, "boot protocol, 2.07,");
  const first = bzImage({ payload: payloads.gzip, version: 0x0208 });
  assertSameBytes(kernelImagePayload(first.bytes, "first"), kernel);
});

Deno.test("a compression that is not understood is refused by its name", () => {
  const payload = new Uint8Array(64);
  for (
    const [name, magic] of [
      ["bzip2", [0x42, 0x5a, 0x68, 0x39]],
      ["lzma", [0x5d, 0x00, 0x00, 0x00, 0x04]],
      ["lzo", [0x89, 0x4c, 0x5a, 0x4f, 0x00]],
    ] as const
  ) {
    payload.set(magic);
    refused(
      bzImage({ payload }).bytes,
      `is packed by ${name}; gzip, xz, lz4 and zstd are understood`,
    );
  }
  payload.fill(0);
  refused(bzImage({ payload }).bytes, "is packed in an unknown way");
});

Deno.test("what is neither ELF nor bzImage is refused", () => {
  for (const text of ["", "\x7fEL", "root:x:0:0:root:/root:/bin/sh\n"]) {
    refused(
      new TextEncoder().encode(text),
      "is no kernel file: it is neither an ELF file nor a bzImage",
    );
  }
  refused(new Uint8Array(4096), "neither");
});
