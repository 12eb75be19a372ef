import { assertEquals } from "@std/assert";
import type { Response } from "./event.ts";
import { type PlannedResponse, ResponsePlan } from "./response_plan.ts";
import { type Rule, rules } from "./rules.ts";
import { finding } from "./testing/finding.ts";

function planned(response: Response, dump = false): PlannedResponse {
  return { response, dump };
}

function foundBy(...rules: readonly Rule[]) {
  return rules.map((rule) => ({ ...finding(), rule }));
}

const { kernelText, invariantData, pageTables } = rules;

Deno.test("a rule without a response of its own has that of all", () => {
  const plan = new ResponsePlan(
    planned("pause"),
    new Map([["XK-002", planned("restore")]]),
  );
  assertEquals(plan.of(invariantData), planned("restore"));
  assertEquals(plan.of(kernelText), planned("pause"));
});

Deno.test("of several responses the strongest wins, whatever the order", () => {
  const plan = new ResponsePlan(
    planned("report"),
    new Map([
      ["XK-001", planned("destroy")],
      ["XK-002", planned("restore")],
    ]),
  );
  for (
    const found of [[kernelText, invariantData], [invariantData, kernelText]]
  ) {
    assertEquals(plan.strongest(foundBy(...found)), planned("destroy"));
  }
  assertEquals(
    plan.strongest(foundBy(pageTables, invariantData)),
    planned("restore"),
  );
});

Deno.test("evidence is kept if one rule wants it, and a pause is a dump then", () => {
  const plan = new ResponsePlan(
    planned("pause"),
    new Map([
      ["XK-001", planned("report", true)],
      ["XK-002", planned("reboot")],
    ]),
  );
  assertEquals(
    plan.strongest(foundBy(kernelText, invariantData)),
    planned("reboot", true),
  );
  assertEquals(
    plan.strongest(foundBy(kernelText, pageTables)),
    planned("dump", true),
  );
});

Deno.test("only from `restore` on is the guest stopped", () => {
  const plan = new ResponsePlan(
    planned("block"),
    new Map([
      ["XK-001", planned("report", true)],
      ["XK-002", planned("restore")],
    ]),
  );
  assertEquals(plan.stops(foundBy(kernelText, pageTables)), false);
  assertEquals(plan.stops(foundBy(kernelText, invariantData)), true);
  assertEquals([plan.mayStop, plan.mayDump], [true, true]);
  const meek = new ResponsePlan(planned("block"));
  assertEquals([meek.mayStop, meek.mayDump], [false, false]);
});
