import { assertEquals } from "@std/assert";
import { seededRandom } from "../testing/seeded_random.ts";
import { Disassembler } from "./disassembler.ts";

const AT = 0xffff_ffff_8100_0000n;
const disassembler = await Disassembler.load();

function lines(hex: string) {
  return disassembler.disassemble(
    Uint8Array.fromHex(hex.replaceAll(" ", "")),
    AT,
  ).map(({ text, target }) =>
    target === undefined ? text : `${text} -> ${target.toString(16)}`
  );
}

Deno.test("code is shown in the notation of the GNU tools", () => {
  assertEquals(lines("55 48 89 e5 90 c3"), [
    "push %rbp",
    "mov %rsp,%rbp",
    "nop",
    "ret",
  ]);
});

Deno.test("addresses and bytes follow each other", () => {
  const code = Uint8Array.fromHex("554889e5");
  assertEquals(disassembler.disassemble(code, AT), [
    { address: AT, bytes: code.slice(0, 1), text: "push %rbp" },
    { address: AT + 1n, bytes: code.slice(1), text: "mov %rsp,%rbp" },
  ]);
});

Deno.test("an instruction that names a kernel address says which", () => {
  assertEquals(
    lines("e8 fb 0f 00 00  48 8b 05 00 01 00 00  ff 14 c5 00 00 00 82"),
    [
      "call 0xffffffff81001000 -> ffffffff81001000",
      "mov 0xffffffff8100010c,%rax -> ffffffff8100010c",
      "callq *-0x7e000000(,%rax,8) -> ffffffff82000000",
    ],
  );
  assertEquals(lines("48 c7 c0 00 00 00 81  48 c7 c0 05 00 00 00"), [
    "mov $0xffffffff81000000,%rax -> ffffffff81000000",
    "mov $5,%rax",
  ]);
});

Deno.test("what is no instruction is said to be none, and what follows is shown", () => {
  assertEquals(lines("06 90 c3"), ["(bad)", "nop", "ret"]);
});

Deno.test("an instruction that is cut off is left out", () => {
  assertEquals(lines("90 e8 00 00"), ["nop"]);
  assertEquals(lines(""), []);
});

Deno.test("whatever bytes there are, their lines follow each other without gap", () => {
  const random = seededRandom(1);
  for (let time = 0; time < 200; time++) {
    const code = Uint8Array.from({ length: 256 }, () => random(256));
    let next = AT;
    for (const { address, bytes } of disassembler.disassemble(code, AT)) {
      assertEquals(address, next);
      next += BigInt(bytes.length);
    }
    const rest = AT + 256n - next;
    assertEquals(rest >= 0n && rest < 15n, true, `${rest} bytes are left`);
  }
});
