import { assert, assertEquals, assertThrows } from "@std/assert";
import { pipeThrough } from "../testing/pipe_through.ts";
import { seededRandom } from "../testing/seeded_random.ts";
import { ModuleFile, UNDEFINED } from "./module_file.ts";

const SOURCE = `
.text
.globl first
first:
  call elsewhere
  movq $local, %rdi
local:
  ret
.section .modinfo,"a"
.asciz "name=lab"
.asciz "depends=one,two_three"
.section .note.gnu.build-id,"a",@note
.long 4, 4, 3
.asciz "GNU"
.long 0x12345678
`;

/** Runs a script on a file, `$f`, which it changes. */
function onFile(
  content: Uint8Array<ArrayBuffer>,
  script: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const whole = `f=$(mktemp); cat >$f; ${script}; cat $f; rm $f`;
  return pipeThrough(content, "sh", "-ec", whole);
}

const bytes = await onFile(
  new TextEncoder().encode(SOURCE),
  "gcc -c -x assembler -o $f.o $f; mv $f.o $f",
);

/** All that a reader may ask of a file. */
function readAll(file: ModuleFile): number {
  let count = [...file.symbols()].length;
  for (const index of file.sections.keys()) {
    for (const { symbol } of file.relocations(index)) {
      file.symbol(symbol);
      count++;
    }
  }
  return count;
}

Deno.test("what gcc compiles is read as it was written", () => {
  const file = new ModuleFile("lab.ko", bytes);
  assertEquals(file.depends, ["one", "two_three"]);
  assertEquals(file.buildId.slice(-4).toHex(), "78563412");
  const text = file.sections.findIndex(({ name }) => name === ".text");
  const exports = [...file.symbols()].filter(({ global, section }) =>
    global && section !== UNDEFINED
  );
  assertEquals(exports, [{
    name: "first",
    section: text,
    value: 0,
    global: true,
  }]);
  const relocations = [...file.relocations(text)].map((
    { offset, type, symbol, addend },
  ) => [offset, type, file.symbol(symbol).section, addend]);
  const [PC32, PLT32, S32] = [2, 4, 11];
  assert([PC32, PLT32].includes(Number(relocations[0]![1])));
  assertEquals(relocations[0]!.toSpliced(1, 1), [1, UNDEFINED, -4n]);
  assertEquals(relocations[1], [8, S32, text, 12n]);
});

Deno.test("a file without symbols is refused", async () => {
  const stripped = await onFile(bytes, "strip $f");
  assertThrows(
    () => new ModuleFile("lab.ko", stripped),
    SyntaxError,
    "lab.ko has no table of symbols",
  );
});

Deno.test("files with random damage are read or refused", () => {
  const random = seededRandom(20_261_125);
  const outcomes = { read: 0, refused: 0 };
  for (let round = 0; round < 5000; round++) {
    const damaged = bytes.slice();
    for (let i = 0; i <= random(8); i++) {
      // The identity is spared
      damaged[16 + random(damaged.length - 16)] = random(256);
    }
    try {
      readAll(new ModuleFile("lab.ko", damaged));
      outcomes.read++;
    } catch (error) {
      const known = error instanceof SyntaxError || error instanceof RangeError;
      assert(known, `${error}`);
      outcomes.refused++;
    }
  }
  assert(outcomes.read > 100, `only ${outcomes.read} were read`);
  assert(outcomes.refused > 100, `only ${outcomes.refused} were refused`);
});
