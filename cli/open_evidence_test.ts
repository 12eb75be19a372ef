import { assert, assertEquals, assertThrows } from "@std/assert";
import { openEvidence } from "./open_evidence.ts";
import { readResponses } from "./read_responses.ts";
import { UsageError } from "./usage_error.ts";

const responses = readResponses("XK-001=dump+reboot");

Deno.test("the folder of the evidence is made, for nobody else, and left empty", () => {
  const parent = Deno.makeTempDirSync();
  const evidence = `${parent}/of/evidence`;
  openEvidence({ responses: readResponses("pause"), evidence });
  assertEquals([...Deno.readDirSync(parent)], []);
  openEvidence({ responses, evidence });
  assertEquals(Deno.statSync(evidence).mode! & 0o777, 0o700);
  assertEquals([...Deno.readDirSync(evidence)], []);
  openEvidence({ responses, evidence });
  Deno.removeSync(parent, { recursive: true });
});

Deno.test("a folder that nothing can be written to is refused in one line", () => {
  const file = Deno.makeTempFileSync();
  for (const evidence of [file, `${file}/below`, "/proc/evidence"]) {
    const { message } = assertThrows(
      () => openEvidence({ responses, evidence }),
      UsageError,
    );
    assert(message.includes(evidence) && !message.includes("\n"), message);
  }
  Deno.removeSync(file);
});
