import { assertEquals } from "@std/assert";
import { flagsOf } from "./flags_of.ts";
import { domainFlags } from "./layouts.ts";
import { fakeControl } from "./testing/fake_control.ts";

Deno.test("a domain that does not exist is dying, whatever the next one is", () => {
  const control = fakeControl([
    { id: 3, flags: domainFlags.paused },
    { id: 5, flags: 0 },
  ]);
  const ids = [3, 4, 5, 6];
  assertEquals(ids.map((id) => flagsOf(control, id)), [
    domainFlags.paused,
    domainFlags.dying,
    0,
    domainFlags.dying,
  ]);
});
