import { assertEquals } from "@std/assert";
import { decodeTableLoad } from "./decode_table_load.ts";
import { addressRegisters as registers } from "./testing/address_registers.ts";

const { general, ip: IP } = registers;

function decode(hex: string) {
  return decodeTableLoad(Uint8Array.fromHex(hex), registers);
}

/** Register n */
function r(register: number): bigint {
  return general[register]!;
}

// The bytes are those that GNU as makes of the instruction
const INSTRUCTIONS: readonly [string, string, "idt" | "gdt", bigint][] = [
  ["lidt (%rax)", "0f0118", "idt", 0n],
  ["lgdt (%rdi)", "0f0117", "gdt", r(7)],
  ["lidt (%r9)", "410f0119", "idt", r(9)],
  ["lidt (%r12)", "410f011c24", "idt", r(12)],
  ["lidt 0x0(%r13)", "410f015d00", "idt", r(13)],
  ["lidt 0xe(%rsp)", "0f015c240e", "idt", r(4) + 0xen],
  ["lgdt -0x10(%rbp)", "0f0155f0", "gdt", r(5) - 0x10n],
  ["lgdt 0x12345(%rbx)", "0f019345230100", "gdt", r(3) + 0x12345n],
  ["lidt 0x1000(%rip)", "0f011d00100000", "idt", IP + 7n + 0x1000n],
  ["lidt -0x10(%rip)", "0f011df0ffffff", "idt", IP + 7n - 0x10n],
  ["lidt (%rax,%rcx,4)", "0f011c88", "idt", 4n * r(1)],
  ["lidt (%rax,%r12,2)", "420f011c60", "idt", 2n * r(12)],
  ["lidt 0x8(%r13,%r15,8)", "430f015cfd08", "idt", r(13) + 8n * r(15) + 8n],
  ["lidt 0x10(,%rdx,2)", "0f011c5510000000", "idt", 2n * r(2) + 0x10n],
  [
    "lidt 0xffffffff80000000",
    "0f011c2500000080",
    "idt",
    0xffff_ffff_8000_0000n,
  ],
  ["lgdt %gs:0x20", "650f01142520000000", "gdt", registers.gsBase + 0x20n],
  ["lidt %fs:(%rsi)", "640f011e", "idt", registers.fsBase + r(6)],
  ["lidt (%ecx)", "670f0119", "idt", 0x1000n],
  ["lidt -0x1(%eax)", "670f0158ff", "idt", 0xffff_ffffn],
  ["rex.W lidt (%rcx)", "480f0119", "idt", r(1)],
  ["cs lidt (%rdx)", "2e0f011a", "idt", r(2)],
];

for (const [text, hex, register, operand] of INSTRUCTIONS) {
  Deno.test(`${text} is decoded`, () => {
    const length = hex.length / 2;
    const expected = { register, length, operand };
    assertEquals(decode(hex), expected);
    assertEquals(decode(hex + "90".repeat(8)), expected);
    for (let cut = 0; cut < length; cut++) {
      assertEquals(decode(hex.slice(0, 2 * cut)), undefined);
    }
  });
}

Deno.test("what does not load a table is not decoded", () => {
  for (
    const [text, hex] of [
      ["sgdt (%rax)", "0f0100"],
      ["sidt (%rax)", "0f0108"],
      ["lmsw (%rax)", "0f0130"],
      ["lldt (%rax)", "0f0010"],
      ["vmmcall", "0f01d9"],
      ["REX before a prefix", "41640f011e"],
    ] as const
  ) assertEquals(decode(hex), undefined, text);
});

Deno.test("an instruction is no longer than 15 bytes", () => {
  assertEquals(decode("2e".repeat(12) + "0f0118")?.length, 15);
  assertEquals(decode("2e".repeat(13) + "0f0118"), undefined);
  assertEquals(decode("2e".repeat(100)), undefined);
});
