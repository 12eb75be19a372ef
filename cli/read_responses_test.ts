import { assert, assertEquals, assertThrows } from "@std/assert";
import { responses } from "../detect/event.ts";
import { rules } from "../detect/rules.ts";
import { readResponses } from "./read_responses.ts";
import { UsageError } from "./usage_error.ts";

const { kernelText, invariantData, pageTables } = rules;

Deno.test("each response is known, for all rules", () => {
  for (const response of responses) {
    assertEquals(readResponses(response).of(kernelText), {
      response,
      dump: response === "dump",
    });
  }
});

Deno.test("rules have responses of their own, and the rest that of all", () => {
  const plan = readResponses("XK-002=restore,XK-001=dump+reboot,report");
  assertEquals(plan.of(invariantData), { response: "restore", dump: false });
  assertEquals(plan.of(kernelText), { response: "reboot", dump: true });
  assertEquals(plan.of(pageTables), { response: "report", dump: false });
});

Deno.test("the rest of the rules pause the guest where nothing is said", () => {
  const plan = readResponses("XK-002=report");
  assertEquals(plan.of(pageTables), { response: "pause", dump: false });
});

Deno.test("a dump can be joined with any other response, in any order", () => {
  for (const text of ["dump+restore", "restore+dump"]) {
    assertEquals(readResponses(text).of(kernelText), {
      response: "restore",
      dump: true,
    });
  }
  assertEquals(
    readResponses("dump+pause").of(kernelText),
    readResponses("dump").of(kernelText),
  );
});

Deno.test("what makes no sense is refused in one line that says what would", () => {
  const wrong = [
    ["kill", "takes report, block, restore, pause, dump, reboot, destroy"],
    ["kill", "not kill"],
    ["", "takes report"],
    ["pause,", "takes report"],
    ["dump+", "takes report"],
    ["XK-002=", "takes report"],
    ["XK-002=a=b", "not XK-002=a=b"],
    ["XK-099=pause", "knows the rules XK-001, XK-002, "],
    ["XK-099=pause", "XK-014, not XK-099"],
    ["xk-001=pause", "not xk-001"],
    ["pause,report", "one response for all rules, not report as well"],
    ["XK-001=pause,XK-001=report", "two responses for XK-001"],
    ["restore+pause", "joins dump with one other response, not restore+pause"],
    ["dump+dump", "not dump+dump"],
    ["dump+pause+reboot", "not dump+pause+reboot"],
  ] as const;
  for (const [text, part] of wrong) {
    const { message } = assertThrows(() => readResponses(text), UsageError);
    assert(message.includes(part), `${text}: ${message}`);
    assert(!message.includes("\n"), message);
  }
});
