import { assert, assertEquals } from "@std/assert";
import { run } from "../guestos/testing/run.ts";
import { seededRandom } from "../guestos/testing/seeded_random.ts";
import { elfHash } from "./elf_hash.ts";

function hashOf(text: string): number {
  return elfHash(new TextEncoder().encode(text));
}

/** The definition, word by word, in unsigned 32-bit arithmetic. */
function definition(bytes: Uint8Array): number {
  let h = 0n;
  for (const c of bytes) {
    h = BigInt.asUintN(32, (h << 4n) + BigInt(c));
    const g = h & 0xf0000000n;
    if (g !== 0n) h ^= g >> 24n;
    h &= BigInt.asUintN(32, ~g);
  }
  return Number(h);
}

Deno.test("the System V ABI's examples come out", () => {
  assertEquals(hashOf(""), 0);
  assertEquals(hashOf("printf"), 0x077905a6);
  assertEquals(hashOf("exit"), 0x0006cf04);
  assertEquals(hashOf("syscall"), 0x0b09985c);
});

Deno.test("any bytes hash as the definition says, to 28 bits", () => {
  const bytes = new Uint8Array(4096);
  const random = seededRandom(28);
  for (let round = 0; round < 200; round++) {
    for (let i = 0; i < bytes.length; i++) {
      // The high bytes of every second round make the sums carry
      bytes[i] = round % 2 === 0 ? random(256) : 0xfe + random(2);
    }
    const part = bytes.subarray(round, 4096 - (round % 7));
    const hash = elfHash(part);
    assertEquals(hash, definition(part));
    assert(hash >= 0 && hash < 2 ** 28);
  }
});

Deno.test("a change of one bit of a page changes its hash", () => {
  const page = new Uint8Array(4096);
  const before = elfHash(page);
  for (let i = 0; i < page.length; i++) {
    page[i] = 1;
    assert(elfHash(page) !== before, `byte ${i}`);
    page[i] = 0;
  }
});

Deno.test("the ABI's function compiled by gcc gives the same hashes", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${directory}/hash.c`, PROGRAM);
    await run("gcc", "-O1", "-o", `${directory}/hash`, `${directory}/hash.c`);
    const words = [
      "printf",
      "exit",
      "syscall",
      "__cxa_finalize",
      "\u00ff\u00fe",
    ]
      .concat(Array.from({ length: 50 }, (_, i) => "sys_".repeat(i) + i));
    assertEquals(
      words.map(hashOf),
      (await run(`${directory}/hash`, ...words)).trim().split("\n").map(Number),
    );
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("the linker puts each symbol into the bucket of its hash", async () => {
  const directory = await Deno.makeTempDir();
  try {
    const names = Array.from({ length: 300 }, (_, i) => `function_${i * 7919}`);
    const library = `${directory}/names.so`;
    await Deno.writeTextFile(
      `${directory}/names.c`,
      names.map((name) => `void ${name}(void) {}\n`).join(""),
    );
    await run(
      "gcc",
      "-shared",
      "-fPIC",
      "-nostdlib",
      "-Wl,--hash-style=sysv",
      "-o",
      library,
      `${directory}/names.c`,
    );
    const table = `${directory}/hash.bin`;
    await run("objcopy", "-O", "binary", "-j", ".hash", library, table);
    const bytes = await Deno.readFile(table);
    const words = new Uint32Array(bytes.buffer, 0, bytes.length >>> 2);
    const bucketCount = words[0]!;
    assert(bucketCount > 10);
    const listed = (await run("readelf", "--dyn-syms", "-W", library))
      .matchAll(/^ +(\d+): .* (function_\d+)$/gm);
    let found = 0;
    for (const [, index, name] of listed) {
      let i = words[2 + hashOf(name!) % bucketCount]!;
      while (i !== 0 && i !== Number(index)) i = words[2 + bucketCount + i]!;
      assertEquals(i, Number(index), name);
      found++;
    }
    assertEquals(found, names.length);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

/** The function as the ABI prints it, with its 32-bit `unsigned long`. */
const PROGRAM = `
#include <stdint.h>
#include <stdio.h>
static uint32_t elf_hash(const unsigned char *name)
{
    uint32_t h = 0, g;
    while (*name) {
        h = (h << 4) + *name++;
        if ((g = h & 0xf0000000))
            h ^= g >> 24;
        h &= ~g;
    }
    return h;
}
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        printf("%u\\n", elf_hash((const unsigned char *)argv[i]));
    return 0;
}
`;
