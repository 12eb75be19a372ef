import { assert, assertEquals } from "@std/assert";
import { keptInputs } from "./fuzz/kept_inputs.ts";
import { type Outcome, runInput, runInputs } from "./fuzz/run_inputs.ts";
import { targets } from "./fuzz/targets.ts";

const INPUTS = 3000;
const SEED = 20_261_125;

function assertNone({ violations }: Outcome): void {
  assertEquals(violations.map(({ reason }) => reason), []);
}

for (const target of targets) {
  Deno.test(`${target.name}: what is valid is read`, () => {
    for (const { bytes } of target.seeds) assert(target.read(bytes.slice()));
  });

  Deno.test(`${target.name}: ${INPUTS} damaged inputs are read or refused`, () => {
    const outcome = runInputs(target, 0, INPUTS, SEED);
    assertNone(outcome);
    assert(outcome.read > INPUTS / 50, `${outcome.read} were read`);
    assert(outcome.refused > INPUTS / 50, `${outcome.refused} were refused`);
  });
}

Deno.test("inputs that once were a violation are read or refused", async () => {
  const outcome: Outcome = { read: 0, refused: 0, slowest: 0, violations: [] };
  for await (const { target, input } of keptInputs()) {
    runInput(target, input, outcome);
  }
  assertNone(outcome);
});
