import { assertEquals } from "@std/assert";
import { hex } from "./testing/image_builder.ts";
import { branch, branchTarget, CALL, JUMP } from "./x86_branch.ts";

Deno.test("a branch counts from its own end, both ways", () => {
  assertEquals(branch(CALL, 0x100, 0x105), hex("e8 00 00 00 00"));
  assertEquals(branch(JUMP, 0x100, 0x100), hex("e9 fb ff ff ff"));
  assertEquals(branch(JUMP, 0x100, 0x1234_5678), hex("e9 73 55 34 12"));
});

Deno.test("a branch leads where it was made to lead", () => {
  for (const [at, target] of [[0, 5], [0x1000, 0], [7, 0x7000_0000]]) {
    assertEquals(branchTarget(branch(CALL, at!, target!), 0, at!), target);
  }
});

Deno.test("a branch is read where it stands, also in a part of larger bytes", () => {
  const bytes = hex("90 90 90 e8 10 00 00 00").subarray(1);
  assertEquals(branchTarget(bytes, 2, 0x100), 0x115);
});
