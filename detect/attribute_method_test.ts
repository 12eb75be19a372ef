import { assertEquals } from "@std/assert";
import { attributeMethods } from "./attribute_method.ts";
import type { Drift } from "./finding.ts";
import { finding } from "./testing/finding.ts";
import { LIMITS, TABLE } from "./testing/guarded_kernel.ts";

/** The method told for a change at `TABLE` beside some drifts of its page. */
function methodBeside(...drifts: Drift[]): string | undefined {
  return methodOf(true, drifts);
}

function methodOf(sealed: boolean, drifts: Drift[]): string | undefined {
  const told = attributeMethods([
    finding({ address: TABLE + 8n }),
    ...drifts.map((drift) =>
      finding({ seen: "drift", drift, address: TABLE, key: drift })
    ),
  ], sealed);
  return told[0]!.method;
}

Deno.test("a change with no drift came from Xen", () => {
  assertEquals(methodBeside(), "hypercall");
});

Deno.test("where pages were not made read-only, a change with no drift may be anyone's", () => {
  assertEquals(methodOf(false, []), undefined);
  assertEquals(methodOf(false, ["entry"]), undefined);
  assertEquals(methodOf(false, ["writable"]), "remap");
});

Deno.test("a change is told by the drift of its page", () => {
  assertEquals(methodBeside("swapped"), "swap");
  assertEquals(methodBeside("writable"), "remap");
  assertEquals(methodBeside("alias"), "alias");
  assertEquals(methodBeside("entry"), "hypercall");
});

Deno.test("of several drifts the one that explains most is told", () => {
  assertEquals(methodBeside("alias", "writable", "swapped"), "swap");
  assertEquals(methodBeside("alias", "writable"), "remap");
});

Deno.test("the drift of another page says nothing", () => {
  const [told] = attributeMethods([
    finding({ address: TABLE }),
    finding({ seen: "drift", drift: "writable", address: LIMITS }),
  ], true);
  assertEquals(told!.method, "hypercall");
});

Deno.test("only contents have a method", () => {
  const drift = finding({ seen: "drift", drift: "alias" });
  const fault = finding({ seen: "fault", method: "direct write" });
  assertEquals(attributeMethods([drift, fault], true), [drift, fault]);
});
