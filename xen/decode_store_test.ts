import { assertEquals } from "@std/assert";
import { decodeStore } from "./decode_store.ts";
import { addressRegisters as registers } from "./testing/address_registers.ts";

const { general, ip: IP } = registers;

function decode(hex: string) {
  return decodeStore(Uint8Array.fromHex(hex), registers);
}

const [RCX, RBX, RSI, RDI, R9] = [1, 3, 6, 7, 9].map((register) =>
  general[register]!
) as [bigint, bigint, bigint, bigint, bigint];

// The bytes are those that GNU as makes of the instruction
const STORES: readonly [string, string, bigint, number][] = [
  ["mov %rax,(%rdi)", "488907", RDI, 8],
  ["movq $0,0x18(%rbx)", "48c7431800000000", RBX + 0x18n, 8],
  ["xchg %rax,(%rdi)", "488707", RDI, 8],
  ["lock cmpxchg %rdx,(%rsi)", "f0480fb116", RSI, 8],
  ["lock xadd %rax,(%rdi)", "f0480fc107", RDI, 8],
  ["lock btrq $5,(%rdi)", "f0480fba3705", RDI, 8],
  ["lock andb $0xfd,(%rdi)", "f08027fd", RDI, 1],
  ["orq $2,0x8(%r9)", "4983490802", R9 + 8n, 8],
  ["andq $-3,(%rdi,%rcx,8)", "488324cffd", RDI + 8n * RCX, 8],
  ["mov %eax,4(%rdi)", "894704", RDI + 4n, 4],
  ["mov %ax,(%rdi)", "668907", RDI, 2],
  ["movb $1,7(%rdi)", "c6470701", RDI + 7n, 1],
  ["or %cl,(%rdi)", "080f", RDI, 1],
  [
    "movq $0x1000,0x1000(%rip)",
    "48c7050010000000100000",
    IP + 11n + 0x1000n,
    8,
  ],
  [
    "mov %rax,%gs:0x20",
    "654889042520000000",
    registers.gsBase + 0x20n,
    8,
  ],
];

for (const [text, hex, address, size] of STORES) {
  Deno.test(`${text} is decoded`, () => {
    assertEquals(decode(hex), { address, size });
    assertEquals(decode(hex + "90".repeat(8)), { address, size });
    for (let cut = 0; cut < hex.length; cut += 2) {
      assertEquals(decode(hex.slice(0, cut)), undefined);
    }
  });
}

Deno.test("what writes more, elsewhere or nothing is not decoded", () => {
  for (
    const [text, hex] of [
      ["rep movsq", "f348a5"],
      ["rep stosq", "f348ab"],
      ["push %rax", "50"],
      ["call *(%rax)", "ff10"],
      ["movups %xmm0,(%rdi)", "0f1107"],
      ["vmovdqu %ymm0,(%rdi)", "c5fe7f07"],
      ["fxsave (%rdi)", "0fae07"],
      ["cmpxchg16b (%rdi)", "480fc70f"],
      ["lock btr %rax,(%rdi)", "f0480fb307"],
      ["movw $1,(%rdi)", "66c7070100"],
      ["mov %rax,%rdi", "4889c7"],
    ] as const
  ) assertEquals(decode(hex + "90".repeat(8)), undefined, text);
});
