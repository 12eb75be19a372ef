import { assertEquals } from "@std/assert";
import { hex } from "../testing/image_builder.ts";
import { fillNops, mergeNops, type NopStyle } from "./fill_nops.ts";

/** What a gap of so many bytes becomes, between two bytes that stay. */
function filled(length: number, style: NopStyle): string {
  const bytes = new Uint8Array(length + 2).fill(0xee);
  fillNops(bytes, 1, length + 1, style);
  assertEquals([bytes[0], bytes.at(-1)], [0xee, 0xee]);
  return bytes.subarray(1, -1).toHex();
}

function merged(code: string, style: NopStyle, end?: number): string {
  const bytes = hex(code);
  mergeNops(bytes, 0, end ?? bytes.length, style);
  return bytes.toHex();
}

function plain(code: string): string {
  return hex(code).toHex();
}

Deno.test("a gap is filled with the longest instructions, of 8 bytes up to 6.3", () => {
  assertEquals(filled(0, "runs"), "");
  assertEquals(filled(1, "runs"), "90");
  assertEquals(filled(5, "runs"), plain("0f 1f 44 00 00"));
  assertEquals(filled(8, "runs"), plain("0f 1f 84 00 00 00 00 00"));
  assertEquals(filled(9, "runs"), plain("0f 1f 84 00 00 00 00 00 90"));
  assertEquals(
    filled(21, "runs"),
    plain(`0f 1f 84 00 00 00 00 00 0f 1f 84 00 00 00 00 00 0f 1f 44 00 00`),
  );
});

Deno.test("from 6.4 on one instruction fills a gap, or a jump leads over it", () => {
  assertEquals(filled(0, "instructions"), "");
  assertEquals(
    filled(9, "instructions"),
    plain("2e 0f 1f 84 00 00 00 00 00"),
  );
  assertEquals(
    filled(11, "instructions"),
    plain("66 66 2e 0f 1f 84 00 00 00 00 00"),
  );
  assertEquals(filled(12, "instructions"), "eb0a" + "cc".repeat(10));
  assertEquals(filled(127, "instructions"), "eb7d" + "cc".repeat(125));
  assertEquals(filled(128, "instructions"), "e97b000000" + "cc".repeat(123));
});

Deno.test("runs of single bytes are merged up to 6.3, and nothing else", () => {
  const cases: [string, string][] = [
    // ret; nop: one alone stays
    ["c3 90", "c3 90"],
    ["c3 90 90", "c3 66 90"],
    ["90 90 90 c3 90 90 90 90", "0f 1f 00 c3 0f 1f 40 00"],
    // What is one instruction already is not joined with its neighbours
    ["0f 1f 00 90 90", "0f 1f 00 66 90"],
    ["90 90 0f 1f 00", "66 90 0f 1f 00"],
    ["66 90 90 90", "66 90 66 90"],
    // 90 in the midst of an instruction is none: mov $0x90909090, %eax
    ["b8 90 90 90 90 90 90", "b8 90 90 90 90 66 90"],
    // pause
    ["f3 90 90 90", "f3 90 66 90"],
    // What is no instruction ends it: 06 in 64-bit mode
    ["90 90 06 90 90", "66 90 06 90 90"],
  ];
  for (const [code, expected] of cases) {
    assertEquals(merged(code, "runs"), plain(expected), code);
  }
});

Deno.test("a run ends where the range does", () => {
  assertEquals(merged("90 90 90 90", "runs", 2), plain("66 90 90 90"));
  assertEquals(merged("90 90 90 90", "instructions", 3), plain("0f 1f 00 90"));
});

Deno.test("from 6.4 on instructions that do nothing are joined, of any length", () => {
  const cases: [string, string][] = [
    ["90 90 90", "0f 1f 00"],
    ["0f 1f 00 90 90 c3", "0f 1f 44 00 00 c3"],
    ["90 66 90 0f 1f 40 00 c3", "0f 1f 80 00 00 00 00 c3"],
    ["c3 90 90 c3 90 90", "c3 66 90 c3 66 90"],
    // One that reaches to the end is as it must be
    ["c3 90", "c3 90"],
    ["c3 0f 1f 00", "c3 0f 1f 00"],
    // Also one that the kernel would write in another way, as it does before
    ["c3 66 66 90", "c3 66 66 90"],
    ["66 66 90 c3", "0f 1f 00 c3"],
    // A long gap is jumped over
    [`${"90 ".repeat(12)} c3`, `eb 0a ${"cc ".repeat(10)} c3`],
    // pause does something
    ["90 90 f3 90 90 c3", "66 90 f3 90 90 c3"],
    ["90 90 06 90 90", "66 90 06 90 90"],
  ];
  for (const [code, expected] of cases) {
    assertEquals(merged(code, "instructions"), plain(expected), code);
  }
});
