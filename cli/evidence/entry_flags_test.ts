import { assertEquals } from "@std/assert";
import { entryFlags } from "./entry_flags.ts";

Deno.test("the flags of an entry are told in words", () => {
  assertEquals(entryFlags(0x9_e582_065n, 1), [
    ...["read-only", "executable", "user", "accessed", "dirty"],
  ]);
  assertEquals(entryFlags(1n << 63n | 0x103n, 1), [
    ...["writable", "no-execute", "supervisor", "global"],
  ]);
});

Deno.test("a page is large where the level says that there may be one", () => {
  assertEquals(entryFlags(0x83n, 2).includes("large page"), true);
  assertEquals(entryFlags(0x83n, 1).includes("large page"), false);
});

Deno.test("an entry that is not present says nothing else", () => {
  assertEquals(entryFlags(0xffen, 1), ["not present"]);
});
