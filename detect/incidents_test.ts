import { assert, assertEquals } from "@std/assert";
import { Incidents } from "./incidents.ts";
import { finding } from "./testing/finding.ts";

const one = finding({ key: "one" });
const two = finding({ key: "two" });

Deno.test("a finding is new once, as long as each pass finds it", () => {
  const incidents = new Incidents();
  assertEquals(incidents.fromPass([one]), [one]);
  assertEquals(incidents.fromPass([one]), []);
  assertEquals(incidents.fromPass([one, two]), [two]);
});

Deno.test("an incident that went away and comes back is new", () => {
  const incidents = new Incidents();
  incidents.fromPass([one]);
  incidents.fromPass([]);
  assertEquals(incidents.fromPass([one]), [one]);
});

Deno.test("asking whether one is new does not make it known", () => {
  const incidents = new Incidents();
  assert(incidents.anyNew([one]));
  assert(incidents.anyNew([one]));
  incidents.fromPass([one]);
  assert(!incidents.anyNew([one]));
  assert(incidents.anyNew([one, two]));
});

Deno.test("a write that is tried again and again is one incident", () => {
  const incidents = new Incidents();
  assert(incidents.fromFault(one, 0));
  for (let now = 9_000; now < 100_000; now += 9_000) {
    assert(!incidents.fromFault(one, now));
  }
});

Deno.test("a write that is tried again after a long time is new", () => {
  const incidents = new Incidents();
  incidents.fromFault(one, 0);
  assert(!incidents.fromFault(one, 10_000));
  assert(incidents.fromFault(one, 20_001));
});

Deno.test("faults and passes are counted apart", () => {
  const incidents = new Incidents();
  incidents.fromPass([one]);
  assert(incidents.fromFault(one, 0));
});

Deno.test("of faults without end the oldest are forgotten", () => {
  const incidents = new Incidents();
  for (let n = 0; n < 4097; n++) {
    assert(incidents.fromFault(finding({ key: `${n}` }), 0));
  }
  assert(!incidents.fromFault(finding({ key: "1" }), 1));
  assert(incidents.fromFault(finding({ key: "0" }), 1));
});

Deno.test("what was put right is new when it comes back, and nothing else is", () => {
  const incidents = new Incidents();
  incidents.fromPass([one, two]);
  incidents.close([one]);
  assertEquals(incidents.fromPass([one, two]), [one]);
});
