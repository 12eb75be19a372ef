import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { ElfFile } from "../elf_file.ts";
import { seededRandom } from "../testing/seeded_random.ts";
import { decodeInstruction, type Instruction } from "./decode_instruction.ts";
import { disassemble, type DisassembledLine } from "./testing/disassemble.ts";

/** What objdump takes for no instruction, in whole or in part */
const BAD = /[({]bad[)}]|\.byte/;
/** What it splits off: a REX that is not the last prefix has no effect */
const ONLY_PREFIXES =
  /^(?:(?:rex(?:\.[WRXB]+)?|data16|addr32|lock|repn?z|[cdefgs]s) *)+$/;

/** A branch by a distance, and its target */
const BRANCH =
  /^(?:[\w.]+ )*(?:j[a-z]+|call|loop[a-z]*|xbegin)(?:,p[nt])? +(?:0x)?([0-9a-f]+)(?: <.*)?$/;
const RIP = /\(%[er]ip\)/;

const FWAIT = 0x9b;

const SEGMENT_OR_ADDRESS_SIZE = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x67];
const REFUSED_BY_VEX = [
  ...[0x66, 0xf0, 0xf2, 0xf3],
  ...Array.from({ length: 16 }, (_, i) => 0x40 + i),
];
const PREFIXES = [...SEGMENT_OR_ADDRESS_SIZE, ...REFUSED_BY_VEX];

/**
 * Whether it is what is left out on purpose, but not by every objdump: XOP,
 * more maps of VEX and EVEX, APX, and prefixes that VEX and EVEX exclude.
 */
function isLeftOut(code: Uint8Array): boolean {
  const start = code.findIndex((byte) => !PREFIXES.includes(byte));
  const [opcode, first = 0, second = 0] = code.subarray(start);
  const isRefused = code.subarray(0, start).some((byte) =>
    REFUSED_BY_VEX.includes(byte)
  );
  switch (opcode) {
    case 0x62:
      return isRefused || (first & 0xf) > 3 || (second & 4) === 0;
    case 0x8f:
      return (first & 0x38) !== 0;
    case 0xc4:
      return isRefused || (first & 0x1f) > 3;
    case 0xc5:
      return isRefused;
    default:
      return opcode === 0xd5;
  }
}

/** Where a branch goes, by its distance; `at` is its address. */
function targetOf(
  code: Uint8Array,
  at: number,
  { length, immediateAt, immediateSize }: Instruction,
): bigint {
  const bytes = code.slice(immediateAt, length).reverse();
  const distance = BigInt.asIntN(
    8 * immediateSize,
    BigInt(`0x${bytes.toHex()}`),
  );
  return BigInt.asUintN(64, BigInt(at + length) + distance);
}

/** Whether a line of objdump shows the parts that are found. */
function isDecoded(code: Uint8Array, { address, text }: DisassembledLine) {
  const decoded = decodeInstruction(code, 0);
  if (decoded === undefined) return false;
  const { length, map, opcode, relative, ripDisplacementAt } = decoded;
  if (map === 1 && opcode === FWAIT && length < code.length) {
    // It takes fwait and the x87 instruction after it for one.
    const rest = { address: address + length, text };
    return isDecoded(code.subarray(length), rest);
  }
  const target = text.match(BRANCH)?.[1];
  return length === code.length &&
    (ripDisplacementAt !== undefined) === RIP.test(text) &&
    relative === (target !== undefined) &&
    (target === undefined ||
      targetOf(code, address, decoded) === BigInt(`0x${target}`));
}

/**
 * Compares every instruction of a disassembly.
 *
 * @param code What is disassembled
 * @param base Address of its first byte
 * @returns How many instructions are equal, and how many lines are none
 */
async function compare(
  code: Uint8Array,
  base: number,
  lines: AsyncIterable<DisassembledLine>,
): Promise<{ equal: number; notCompared: number }> {
  const differences: string[] = [];
  let equal = 0;
  let notCompared = 0;
  const check = (line: DisassembledLine, end: number) => {
    const bytes = code.subarray(line.address - base, end - base);
    if (BAD.test(line.text) || ONLY_PREFIXES.test(line.text)) notCompared++;
    else if (isDecoded(bytes, line)) equal++;
    else if (isLeftOut(bytes)) notCompared++;
    else differences.push(`${bytes.toHex()} ${line.text}`);
  };
  let last: DisassembledLine | undefined;
  for await (const line of lines) {
    if (last !== undefined) check(last, line.address);
    last = line;
  }
  assert(last !== undefined);
  check(last, base + code.length);
  assertEquals(differences, []);
  return { equal, notCompared };
}

Deno.test("the code of the C library is decoded as by objdump", async () => {
  const maps = await Deno.readTextFile("/proc/self/maps");
  for (const name of ["libc.so.6", "libm.so.6"]) {
    const path = maps.match(RegExp(`/.*/${name}$`, "m"))?.[0];
    assert(path !== undefined, `This process has no ${name}`);
    const bytes = await Deno.readFile(path);
    const text = new ElfFile(bytes, path).sections.find(({ name }) =>
      name === ".text"
    );
    assert(text !== undefined);
    const { equal, notCompared } = await compare(
      bytes.subarray(text.offset, text.offset + text.size),
      Number(text.address),
      disassemble("-j", ".text", path),
    );
    assertGreater(equal, 50_000, name);
    assertLess(notCompared, equal / 1000, name);
  }
});

Deno.test("random bytes are decoded as by objdump", async () => {
  const random = seededRandom(1);
  // Many of these bytes, so that all maps and prefixes come
  const frequent = [
    ...[0x0f, 0x38, 0x3a, 0x62, 0x66, 0x67, 0xc4, 0xc5, 0xf2, 0xf3],
    ...[0x41, 0x48, 0x7c, 0xf1, 0xf2, 0xf3],
  ];
  const code = Uint8Array.from(
    { length: 1_000_000 },
    () => random(4) > 0 ? random(256) : frequent[random(frequent.length)] ?? 0,
  );
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, code);
    const { equal } = await compare(
      code,
      0,
      disassemble("-b", "binary", "-m", "i386:x86-64", "-D", path),
    );
    assertGreater(equal, 200_000);
  } finally {
    await Deno.remove(path);
  }
});
