import { assertEquals } from "@std/assert";
import { isExecuted } from "./is_executed.ts";
import { PAGE_SIZE } from "./layouts.ts";
import type { InvariantRange } from "./protection.ts";

const START = 0xffff_ffff_8200_0000n;

function pages(range: Partial<InvariantRange>): boolean[] {
  const whole = { start: START, size: 4 * PAGE_SIZE, rungs: [] };
  return [0, 1, 2, 3].map((page) =>
    isExecuted({ ...whole, kind: "data", ...range }, page)
  );
}

Deno.test("every page of code is executed, and none of data", () => {
  assertEquals(pages({ kind: "code" }), [true, true, true, true]);
  assertEquals(pages({}), [false, false, false, false]);
});

Deno.test("of data just the pages are executed that are said to be", () => {
  const start = START + BigInt(PAGE_SIZE);
  assertEquals(
    pages({ executed: { start, size: 2 * PAGE_SIZE } }),
    [false, true, true, false],
  );
});
