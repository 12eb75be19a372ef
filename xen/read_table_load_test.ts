import { assertEquals, assertThrows } from "@std/assert";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import { hvmCpu } from "./layouts.ts";
import { readTableLoad } from "./read_table_load.ts";

const ROOT = 0x1234n;
const IP = 0xffff_ffff_8100_0ff8n;
const PAGE_END = 0xffff_ffff_8100_1000n;
const OPERAND = 0xffff_c900_0000_4000n;
/** lidt (%r9) */
const LIDT = [0x41, 0x0f, 0x01, 0x19];
/** lidt 0x0(%r9), with prefixes that make it as long as it can be */
const LONGEST = [...Array(10).fill(0x2e), 0x41, 0x0f, 0x01, 0x59, 0];
/** Limit 0xfff, base 0xfffffe0000000000 */
const TABLE = [0xff, 0x0f, 0, 0, 0, 0, 0, 0xfe, 0xff, 0xff];

function setUp() {
  const cpu = new DataView(new ArrayBuffer(1032));
  const set = (at: number, value: bigint) => cpu.setBigUint64(at, value, true);
  set(hvmCpu.rip, IP);
  set(hvmCpu.cr3, ROOT << 12n | 1n << 63n | 0x18n);
  set(hvmCpu.r8 + 8, OPERAND);
  set(hvmCpu.msr_efer, 0xd01n);
  cpu.setUint32(hvmCpu.cs_arbytes, 0xa9b, true);
  const memory = new Map<bigint, number>();
  const write = (address: bigint, bytes: readonly number[]) =>
    bytes.forEach((byte, at) => memory.set(address + BigInt(at), byte));
  write(IP, LIDT);
  write(OPERAND, TABLE);
  const read = (root: bigint, address: bigint, length: number) => {
    assertEquals(root, ROOT);
    return Uint8Array.from({ length }, (_, at) => {
      const byte = memory.get(address + BigInt(at));
      if (byte !== undefined) return byte;
      // As pages are: what is not written to on one is zero
      const isCodePage = address < PAGE_END && address >= IP;
      if (isCodePage && address + BigInt(at) < PAGE_END) return 0;
      throw new UnreadableMemoryError(address, "not-present");
    });
  };
  return { cpu, memory, write, read };
}

Deno.test("the table that is about to be loaded is read through the tables of its CPU", () => {
  const { cpu, read } = setUp();
  assertEquals(readTableLoad(cpu, read), {
    register: "idt",
    value: { base: 0xffff_fe00_0000_0000n, limit: 0xfff },
    next: IP + 4n,
  });
});

Deno.test("an instruction may go on on the next page, which need not be there", () => {
  const { cpu, write, read } = setUp();
  write(IP, LONGEST.slice(0, 8));
  assertEquals(readTableLoad(cpu, read), undefined);
  write(PAGE_END, LONGEST.slice(8));
  assertEquals(readTableLoad(cpu, read)?.next, IP + 15n);
});

Deno.test("what cannot be read is not guessed", () => {
  const { cpu, memory, read } = setUp();
  memory.delete(OPERAND + 9n);
  assertEquals(readTableLoad(cpu, read), undefined);
});

Deno.test("code that is not 64-bit code is not decoded", () => {
  const { cpu, read } = setUp();
  cpu.setUint32(hvmCpu.cs_arbytes, 0xc9b, true);
  assertEquals(readTableLoad(cpu, read), undefined);
  const other = setUp();
  other.cpu.setBigUint64(hvmCpu.msr_efer, 1n, true);
  assertEquals(readTableLoad(other.cpu, other.read), undefined);
});

Deno.test("an error that is none of the guest's is passed on", () => {
  const { cpu } = setUp();
  const fail = () => {
    throw new Error("no privcmd");
  };
  assertThrows(() => readTableLoad(cpu, fail), Error, "no privcmd");
});
