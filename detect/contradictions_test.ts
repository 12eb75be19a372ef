import { assertEquals } from "@std/assert";
import { Contradictions } from "./contradictions.ts";
import { guardedKernel, TEXT } from "./testing/guarded_kernel.ts";

const { symbols } = guardedKernel().profile;

Deno.test("a kernel that does not contradict itself gives no finding", () => {
  assertEquals(new Contradictions(symbols, []).check(), []);
});

Deno.test("each contradiction is a finding with its place, at each look", () => {
  const contradictions = new Contradictions(symbols, [
    { address: TEXT + 0x14n, summary: "a pointer leads nowhere" },
    { address: TEXT + 0x14n, summary: "an entry is forged" },
  ]);
  const [first, second, ...rest] = contradictions.check();
  assertEquals(first, {
    rule: contradictions.rule,
    seen: "compare",
    what: "kernel",
    address: TEXT + 0x14n,
    symbol: "sys_ping+0x4",
    summary: "a pointer leads nowhere",
    key: "XK-008 ffffffff80000014 a pointer leads nowhere",
  });
  assertEquals(second?.key, "XK-008 ffffffff80000014 an entry is forged");
  assertEquals(rest, []);
  assertEquals(contradictions.check().length, 2);
});
