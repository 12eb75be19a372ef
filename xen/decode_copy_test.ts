import { assertEquals } from "@std/assert";
import { decodeCopy } from "./decode_copy.ts";
import { addressRegisters as registers } from "./testing/address_registers.ts";

const { general } = registers;
const [RCX, RDX, RSI, RDI, R8, R9] = [1, 2, 6, 7, 8, 9].map((register) =>
  general[register]!
) as [bigint, bigint, bigint, bigint, bigint, bigint];
const DIRECTION = 1n << 10n;

function decode(hex: string, count?: bigint, flags = 2n) {
  const counted = general.with(1, count ?? RCX);
  return decodeCopy(
    Uint8Array.fromHex(hex),
    { ...registers, general: counted },
    flags,
  );
}

function bytes(value: bigint, size: number): Uint8Array {
  const all = new Uint8Array(8);
  new DataView(all.buffer).setBigUint64(0, value, true);
  return all.subarray(0, size);
}

// The bytes are those that GNU as makes of the instruction
const MOVES: readonly [string, string, bigint, Uint8Array][] = [
  ["mov %cl,(%rdi)", "880f", RDI, bytes(RCX, 1)],
  ["mov %ch,(%rdi)", "882f", RDI, bytes(RCX >> 8n, 1)],
  ["mov %sil,(%rdi)", "408837", RDI, bytes(RSI, 1)],
  ["mov %r8b,1(%rdi)", "44884701", RDI + 1n, bytes(R8, 1)],
  ["mov %r9b,(%rdi,%rdx,1)", "44880c17", RDI + RDX, bytes(R9, 1)],
  ["mov %cx,(%rdi)", "66890f", RDI, bytes(RCX, 2)],
  ["mov %ecx,(%rdi)", "890f", RDI, bytes(RCX, 4)],
  ["mov %r8d,-4(%rdi,%rdx,1)", "44894417fc", RDI + RDX - 4n, bytes(R8, 4)],
  ["mov %r9,-8(%rdi)", "4c894ff8", RDI - 8n, bytes(R9, 8)],
];

for (const [text, hex, address, from] of MOVES) {
  Deno.test(`${text} is decoded`, () => {
    assertEquals(decode(hex), { address, from });
    assertEquals(decode(hex + "90".repeat(8)), { address, from });
    assertEquals(decode(hex.slice(0, -2)), undefined);
  });
}

const STRINGS: readonly [string, string, bigint, number][] = [
  ["rep movsb", "f3a4", 5n, 5],
  ["rep movsq", "f348a5", 2n, 16],
  ["rep movsl", "f3a5", 3n, 12],
  ["rep movsw", "f366a5", 3n, 6],
  ["movsb", "a4", 0n, 1],
  ["movsq", "48a5", 7n, 8],
];

for (const [text, hex, count, size] of STRINGS) {
  Deno.test(`${text} is decoded`, () => {
    const copy = { address: RDI, from: { address: RSI, size } };
    assertEquals(decode(hex, count), copy);
    assertEquals(decode(hex + "90", count), copy);
    assertEquals(decode(hex.slice(0, -2), count), undefined);
    assertEquals(decode(hex, count, DIRECTION), undefined);
  });
}

Deno.test("what copies nothing, much, by other segments or not at all is not decoded", () => {
  for (
    const [text, hex, count] of [
      ["rep movsb of nothing", "f3a4", 0n],
      ["rep movsb of 65 bytes", "f3a4", 65n],
      ["rep movsq of 72 bytes", "f348a5", 9n],
      ["rep movsb without end", "f3a4", (1n << 64n) - 1n],
      ["rep movsb %gs:(%rsi),(%rdi)", "f365a4", 1n],
      ["rep movsb (%esi),(%edi)", "f367a4", 1n],
      ["rep stosb", "f3aa", 1n],
      ["mov %rax,%rdi", "4889c7", 1n],
      ["movb $1,7(%rdi)", "c6470701", 1n],
      ["xchg %rax,(%rdi)", "488707", 1n],
      ["prefixes without end", "f3".repeat(15), 1n],
      ["nothing", "", 1n],
    ] as const
  ) {
    assertEquals(decode(hex, count), undefined, text);
  }
});
