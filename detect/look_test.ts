import { assertEquals, assertThrows } from "@std/assert";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import type { Detector, Finding, Unreadable } from "./finding.ts";
import { look } from "./look.ts";
import { rules } from "./rules.ts";
import { finding } from "./testing/finding.ts";
import { guardedKernel, TABLE, TEXT } from "./testing/guarded_kernel.ts";

const { guest, profile: { symbols } } = guardedKernel();

function detector(
  rule: Detector["rule"],
  check: (full: boolean) => Iterable<Finding | Unreadable>,
): Detector {
  return { rule, check };
}

const unreadable = detector(rules.kernelText, () => {
  throw new UnreadableMemoryError(TEXT + 4n, "not-present");
});

Deno.test("what one rule could not read does not hide another's finding", () => {
  const told = detector(rules.invariantData, () => [finding()]);
  for (const order of [[unreadable, told], [told, unreadable]]) {
    const { findings, unreadable } = look(guest, order, symbols, false);
    assertEquals(findings.map(({ key }) => key), ["one state"]);
    assertEquals(unreadable, [{
      rule: rules.kernelText,
      what: "_text+0x4",
      address: TEXT + 4n,
      reason: "not-present",
    }]);
  }
});

Deno.test("what a rule found before it could read no more is kept", () => {
  const { findings, unreadable } = look(
    guest,
    [detector(rules.pageTables, function* () {
      yield finding();
      throw new UnreadableMemoryError(TABLE, "no-frame");
    })],
    symbols,
    false,
  );
  assertEquals([findings.length, unreadable.length], [1, 1]);
});

Deno.test("a place that a rule cannot tell of is no finding", () => {
  const place = {
    rule: rules.pageTables,
    what: "sys_call_table",
    address: TABLE,
    reason: "no table",
  };
  assertEquals(
    look(guest, [detector(rules.pageTables, () => [place])], symbols, false),
    {
      findings: [],
      unreadable: [place],
      instrumentation: [],
    },
  );
});

Deno.test("an error that is not about the guest's memory is not swallowed", () => {
  const broken = detector(rules.kernelText, () => {
    throw new RangeError("a mistake");
  });
  assertThrows(
    () => look(guest, [broken], symbols, false),
    RangeError,
    "a mistake",
  );
});

Deno.test("every rule is told whether the pass is a full one", () => {
  const asked: boolean[] = [];
  const asking = detector(rules.kernelText, (full) => {
    asked.push(full);
    return [];
  });
  look(guest, [asking, asking], symbols, true);
  look(guest, [asking], symbols, false);
  assertEquals(asked, [true, true, false]);
});

Deno.test("what a guest shows while it is taken apart is not believed", () => {
  const { guest } = guardedKernel();
  guest.assertAlive = () => {
    throw new RangeError("web is gone");
  };
  const told = detector(rules.invariantData, () => [finding()]);
  for (const rule of [told, unreadable]) {
    assertThrows(() => look(guest, [rule], symbols, false), RangeError);
  }
  const quiet = detector(rules.invariantData, () => []);
  assertEquals(look(guest, [quiet], symbols, false).findings, []);
});
