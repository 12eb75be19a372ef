import { assertEquals } from "@std/assert";
import type { EventBody } from "./event.ts";
import type { Finding, Unreadable } from "./finding.ts";
import { Reports } from "./reports.ts";
import { rules } from "./rules.ts";
import { FakeClock } from "./testing/fake_clock.ts";

const FINDING: Finding = {
  rule: rules.kernelText,
  seen: "stop",
  what: "kernel text",
  address: 0n,
  symbol: "_text",
  summary: "a write was stopped before it landed",
  key: "one",
};

function setUp() {
  const told: EventBody[] = [];
  const reports = new Reports((event) => void told.push(event));
  return { reports, told, types: () => told.splice(0).map(({ type }) => type) };
}

Deno.test("of stopped writes without end 64 are told in 10 seconds, and that there are more", () => {
  using clock = new FakeClock();
  const { reports, told, types } = setUp();
  for (let count = 0; count < 64; count++) reports.stopped([FINDING]);
  assertEquals(types(), Array(64).fill("finding"));
  reports.stopped([FINDING, FINDING]);
  assertEquals(told, [{
    type: "notice",
    text: "more than 64 stopped writes within 10 s: the others are not told " +
      "one by one",
  }]);
  assertEquals(types().length, 1);
  clock.pass(10_001);
  reports.stopped([FINDING]);
  assertEquals(types(), ["finding"]);
});

Deno.test("what cannot be read is told once, and again if it could be meanwhile", () => {
  const { reports, types } = setUp();
  const one: Unreadable = { rule: rules.kernelText, what: "a", reason: "r" };
  const other = { ...one, address: 1n };
  reports.unreadable([one]);
  reports.unreadable([one, other]);
  assertEquals(types(), ["unreadable", "unreadable"]);
  reports.unreadable([other]);
  reports.unreadable([one, other]);
  assertEquals(types(), ["unreadable"]);
});
