import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { getLogger } from "@logtape/logtape";
import { openLog } from "./log.ts";
import { UsageError } from "./usage_error.ts";

const logger = getLogger(["xkmon"]);

async function withFile(use: (path: string) => Promise<void>) {
  const path = await Deno.makeTempFile();
  try {
    await use(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("what is logged is appended to the file", () =>
  withFile(async (path) => {
    await Deno.writeTextFile(path, "before\n");
    for (const text of ["one", "two"]) {
      await using _log = await openLog(path, () => {});
      logger.info(text);
    }
    const [before, one, two, ...rest] = (await Deno.readTextFile(path))
      .split("\n");
    assertEquals([before, rest], ["before", [""]]);
    assertStringIncludes(one!, "one");
    assertStringIncludes(two!, "two");
  }));

Deno.test("a full disk is told once, with what to do", async () => {
  const told: string[] = [];
  {
    await using _log = await openLog(
      "/dev/full",
      ({ message }) => told.push(message),
    );
    logger.info("one");
    logger.info("two");
  }
  assertEquals(told.length, 1);
  assertStringIncludes(told[0]!, "The log /dev/full cannot be written");
  assertStringIncludes(told[0]!, "--log");
});

Deno.test("a file that cannot be opened is the operator's to put right", async () => {
  await assertRejects(
    () => openLog("/missing/log", () => {}),
    UsageError,
    "cannot be opened",
  );
});
