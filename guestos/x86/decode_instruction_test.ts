import { assert, assertEquals, assertGreater } from "@std/assert";
import { seededRandom } from "../testing/seeded_random.ts";
import { decodeInstruction, type Instruction } from "./decode_instruction.ts";

function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.split(" "), (byte) => parseInt(byte, 16));
}

function decode(hex: string): Instruction | undefined {
  return decodeInstruction(fromHex(hex), 0);
}

/** Whole instructions, as a processor delimits them. */
const INSTRUCTIONS = [
  // One byte, with and without prefixes
  "90",
  "f3 90",
  "cc",
  "f1",
  "9b",
  "c3",
  "f3 a4",
  "65 48 ab",
  "41 57",
  // Immediates by operand size
  "04 01",
  "05 01 02 03 04",
  "66 05 01 02",
  "48 05 01 02 03 04",
  "66 48 05 01 02 03 04",
  "68 01 02 03 04",
  "66 68 01 02",
  "6a 01",
  "69 c0 01 02 03 04",
  "66 69 c0 01 02",
  "6b c0 01",
  "81 c0 01 02 03 04",
  "83 c0 01",
  "b0 01",
  "b8 01 02 03 04",
  "66 b8 01 02",
  "48 b8 01 02 03 04 05 06 07 08",
  "66 49 bf 01 02 03 04 05 06 07 08",
  "c2 01 02",
  "ca 01 02",
  "c8 01 02 03",
  "cd 80",
  "e4 01",
  // Absolute addresses
  "a0 01 02 03 04 05 06 07 08",
  "48 a3 01 02 03 04 05 06 07 08",
  "67 a1 01 02 03 04",
  "66 a1 01 02 03 04 05 06 07 08",
  // Memory operands
  "8b 00",
  "8b 04 24",
  "8b 04 25 01 02 03 04",
  "8b 05 01 02 03 04",
  "41 8b 05 01 02 03 04",
  "8b 40 01",
  "8b 44 24 01",
  "8b 45 01",
  "8b 80 01 02 03 04",
  "8b 84 24 01 02 03 04",
  "8b 84 25 01 02 03 04",
  "8b c5",
  "67 8b 05 01 02 03 04",
  "65 48 8b 04 25 01 02 03 04",
  "48 c7 04 24 01 02 03 04",
  "66 c7 05 01 02 03 04 05 06",
  "80 3d 01 02 03 04 05",
  // Groups
  "f6 00 01",
  "f6 c8 01",
  "f6 10",
  "f6 d8",
  "f7 c0 01 02 03 04",
  "66 f7 c0 01 02",
  "48 f7 c0 01 02 03 04",
  "f7 08 01 02 03 04",
  "f7 e0",
  "ff d0",
  "3e ff e0",
  "ff 15 01 02 03 04",
  "8f 00",
  "c6 f8 01",
  // Branches
  "eb 01",
  "74 01",
  "e3 01",
  "67 e3 01",
  "e8 01 02 03 04",
  "e9 01 02 03 04",
  "66 e8 01 02 03 04",
  "66 e9 01 02 03 04",
  "0f 84 01 02 03 04",
  "66 0f 84 01 02 03 04",
  "2e 0f 85 01 02 03 04",
  "c7 f8 01 02 03 04",
  "66 c7 f8 01 02",
  // Two bytes
  "0f 05",
  "0f 0b",
  "0f b9 00",
  "67 0f b9 3a",
  "67 48 0f b9 3a",
  "0f ff c0",
  "0f 01 ca",
  "0f 01 cb",
  "0f 01 f8",
  "0f 01 38",
  "0f ae e8",
  "0f ae f8",
  "f3 0f 1e fa",
  "0f 1f 44 00 00",
  "66 66 2e 0f 1f 84 00 00 00 00 00",
  "0f 0d 08",
  "0f 20 c0",
  "0f 20 05",
  "44 0f 22 c0",
  "0f 23 44",
  "0f 30",
  "0f a2",
  "0f ba e0 01",
  "0f a4 c2 01",
  "f0 48 0f c7 0f",
  "0f c8",
  "0f c6 c1 01",
  "66 0f 70 c0 01",
  "0f 77",
  "0f 78 c0",
  "66 0f 78 c0 01 02",
  "f2 0f 78 c0 01 02",
  "0f 0f c1 9e",
  // Three bytes
  "66 0f 38 00 c1",
  "f2 48 0f 38 f1 c1",
  "66 0f 38 82 01",
  "66 0f 3a 0f c1 08",
  "66 0f 3a 0f 05 01 02 03 04 05",
  // VEX
  "c5 f8 77",
  "c5 fc 28 05 01 02 03 04",
  "c5 f9 70 c0 01",
  "c5 f8 92 c8",
  "c4 e2 7d 58 c0",
  "c4 e3 7d 39 c1 01",
  "c4 e3 fb f0 c1 01",
  "65 c4 c1 7a 6f 45 01",
  "67 c5 f8 28 00",
  // EVEX
  "62 f1 7c 48 10 00",
  "62 f1 fe 28 6f 46 01",
  "62 e1 7d 48 e7 05 01 02 03 04",
  "62 f2 7d 28 7c c6",
  "62 f3 7d 20 3f c1 00",
  "62 f1 6d 48 72 e1 01",
  // 15 bytes
  "66 66 66 66 66 66 66 66 66 66 66 66 66 66 90",
  "66 66 2e 48 81 84 25 01 02 03 04 05 06 07 08",
  // REX before another prefix does nothing.
  "48 66 b8 01 02",
  "48 44 b8 01 02 03 04",
];

const REFUSED = [
  // No instruction in 64-bit mode
  ...["06", "07", "0e", "16", "17", "1e", "1f", "27", "2f", "37", "3f"],
  ...["60", "61", "82", "9a", "ce", "d4", "d5", "d6", "ea"],
  ...["0f 04", "0f 0a", "0f 0c", "0f 24", "0f 26", "0f 36", "0f 3b", "0f 7a"],
  // No instruction in its group, or XOP
  ...["8f c8", "8f e8", "c6 c8", "c7 f9", "fe d0", "ff f8"],
  // VEX and EVEX after a prefix that they exclude
  ...["66 c5 f8 28", "f2 c5 f8 28", "f3 c5 f8 28", "f0 c5 f8 28"],
  ...["48 c4 e2 7d 58", "48 62 f1 7c 48 10"],
  // Maps that they lack, opcodes that their map lacks, and APX
  ...["c4 e0 7d 58", "c4 e4 7d 58", "62 f5 7c 48 58", "62 f0 7c 48 10"],
  ...["c5 f8 05", "c5 f8 80", "62 f1 78 48 10", "62 f9 7c 48 10"],
  // More than 15 bytes
  "66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90",
  "66 66 66 66 66 66 66 66 66 66 66 66 66 66 0f 05",
];

Deno.test("instructions have the length that the manuals give them", () => {
  for (const hex of INSTRUCTIONS) {
    const code = fromHex(hex);
    assertEquals(decodeInstruction(code, 0)?.length, code.length, hex);
  }
});

Deno.test("what follows an instruction or precedes it does not matter", () => {
  for (const hex of INSTRUCTIONS) {
    const code = fromHex(hex);
    const amid = Uint8Array.of(0x66, 0x48, ...code, ...code);
    assertEquals(decodeInstruction(amid, 2), decodeInstruction(code, 0), hex);
  }
});

Deno.test("an instruction that is cut off is refused", () => {
  for (const hex of INSTRUCTIONS) {
    const code = fromHex(hex);
    for (let size = 0; size < code.length; size++) {
      const cut = code.subarray(0, size);
      assertEquals(decodeInstruction(cut, 0), undefined, `${hex} at ${size}`);
    }
  }
});

Deno.test("what is no instruction is refused", () => {
  for (const hex of REFUSED) {
    const padded = Uint8Array.of(...fromHex(hex), ...new Uint8Array(16));
    assertEquals(decodeInstruction(padded, 0), undefined, hex);
  }
});

Deno.test("a place outside of the code is refused", () => {
  for (const at of [-1, 1, 0.5, NaN, Infinity, 2 ** 53]) {
    assertEquals(decodeInstruction(Uint8Array.of(0x90), at), undefined);
  }
});

Deno.test("the parts of an instruction are found", () => {
  assertEquals(decode("66 2e 48 81 3d 01 02 03 04 05 06 07 08"), {
    length: 13,
    opcodeAt: 3,
    map: 1,
    opcode: 0x81,
    modrmAt: 4,
    ripDisplacementAt: 5,
    immediateAt: 9,
    immediateSize: 4,
    relative: false,
  });
  assertEquals(decode("2e 0f 84 01 02 03 04"), {
    length: 7,
    opcodeAt: 1,
    map: 2,
    opcode: 0x84,
    modrmAt: undefined,
    ripDisplacementAt: undefined,
    immediateAt: 3,
    immediateSize: 4,
    relative: true,
  });
  assertEquals(decode("f2 48 0f 38 f1 c1"), {
    length: 6,
    opcodeAt: 2,
    map: 3,
    opcode: 0xf1,
    modrmAt: 5,
    ripDisplacementAt: undefined,
    immediateAt: 6,
    immediateSize: 0,
    relative: false,
  });
  assertEquals(decode("c4 e3 79 0f 05 01 02 03 04 05"), {
    length: 10,
    opcodeAt: 3,
    map: 4,
    opcode: 0x0f,
    modrmAt: 4,
    ripDisplacementAt: 5,
    immediateAt: 9,
    immediateSize: 1,
    relative: false,
  });
  assertEquals(decode("62 f1 7c 48 28 05 01 02 03 04"), {
    length: 10,
    opcodeAt: 4,
    map: 2,
    opcode: 0x28,
    modrmAt: 5,
    ripDisplacementAt: 6,
    immediateAt: 10,
    immediateSize: 0,
    relative: false,
  });
});

Deno.test("branches are those with a distance", () => {
  const branches = INSTRUCTIONS.filter((hex) => decode(hex)?.relative);
  assertEquals(branches, [
    "eb 01",
    "74 01",
    "e3 01",
    "67 e3 01",
    "e8 01 02 03 04",
    "e9 01 02 03 04",
    "66 e8 01 02 03 04",
    "66 e9 01 02 03 04",
    "0f 84 01 02 03 04",
    "66 0f 84 01 02 03 04",
    "2e 0f 85 01 02 03 04",
    "c7 f8 01 02 03 04",
    "66 c7 f8 01 02",
  ]);
});

Deno.test("an operand is relative to RIP only with mode 0 and register 5", () => {
  for (let modrm = 0; modrm < 256; modrm++) {
    const code = new Uint8Array(16);
    code.set([0x48, 0x8b, modrm, 0x05]);
    assertEquals(
      decodeInstruction(code, 0)?.ripDisplacementAt,
      (modrm & 0xc7) === 0x05 ? 3 : undefined,
    );
  }
});

Deno.test("any bytes are decoded or refused", () => {
  const random = seededRandom(1);
  const frequent = fromHex("66 67 f2 f3 f0 2e 48 4f 0f 38 3a c4 c5 62");
  let decoded = 0;
  for (let i = 0; i < 100_000; i++) {
    const code = Uint8Array.from(
      { length: random(20) },
      () =>
        random(2) === 0 ? random(256) : frequent[random(frequent.length)] ?? 0,
    );
    const at = random(code.length + 2);
    const instruction = decodeInstruction(code, at);
    if (instruction === undefined) continue;
    decoded++;
    const { length, opcodeAt, immediateAt, immediateSize } = instruction;
    const modrmAt = instruction.modrmAt ?? opcodeAt + 1;
    const displacementAt = instruction.ripDisplacementAt ?? modrmAt;
    assert(
      opcodeAt >= 0 && opcodeAt < modrmAt && modrmAt <= displacementAt &&
        displacementAt <= immediateAt &&
        immediateAt + immediateSize === length && length <= 15 &&
        at + length <= code.length,
      `${code} at ${at}`,
    );
  }
  assertGreater(decoded, 10_000);
});
