import { assert, assertEquals, assertThrows } from "@std/assert";
import { openEvidence } from "./open_evidence.ts";
import { UsageError } from "./usage_error.ts";

Deno.test("the folder of the evidence is made, for nobody else, and left empty", () => {
  const parent = Deno.makeTempDirSync();
  const folder = `${parent}/of/evidence`;
  openEvidence(folder);
  assertEquals(Deno.statSync(folder).mode! & 0o777, 0o700);
  assertEquals([...Deno.readDirSync(folder)], []);
  openEvidence(folder);
  Deno.removeSync(parent, { recursive: true });
});

Deno.test("a folder that nothing can be written to is refused in one line", () => {
  const file = Deno.makeTempFileSync();
  for (const folder of [file, `${file}/below`, "/proc/evidence"]) {
    const { message } = assertThrows(() => openEvidence(folder), UsageError);
    assert(message.includes(folder) && !message.includes("\n"), message);
  }
  Deno.removeSync(file);
});
