import { constants } from "node:os";
import { assertEquals } from "@std/assert";
import { XenError } from "./errors.ts";

Deno.test("an error names the call and says the number in words", () => {
  const error = new XenError("xc_domain_pause", 3);
  assertEquals(error.message, "xc_domain_pause: no such domain (ESRCH)");
  assertEquals([error.code, error.errno, error.call, error.name], [
    "ESRCH",
    3,
    "xc_domain_pause",
    "XenError",
  ]);
});

Deno.test("a number without a name is told as it is", () => {
  const error = new XenError("mmu_update", 1234);
  assertEquals(error.message, "mmu_update: failed (error 1234)");
  assertEquals(error.code, "error 1234");
});

Deno.test("the numbers are those of Linux", () => {
  const named = Array.from(
    { length: 134 },
    (_, errno) => [errno, new XenError("call", errno).code] as const,
  ).filter(([, code]) => !code.startsWith("error "));
  assertEquals(named.length > 10, true);
  for (const [errno, code] of named) {
    assertEquals<number | undefined>(
      constants.errno[code as keyof typeof constants.errno],
      errno,
    );
  }
});
