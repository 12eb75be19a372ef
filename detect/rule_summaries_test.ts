import { assertEquals } from "@std/assert";
import { ruleSummaries } from "./rule_summaries.ts";
import { rules } from "./rules.ts";

Deno.test("every rule is summed up as its page does", async () => {
  const ids = Object.values(rules).map(({ id }) => id);
  assertEquals(Object.keys(ruleSummaries), ids);
  for (const id of ids) {
    const path = new URL(`../docs/rules/${id}.md`, import.meta.url);
    const [, first] = (await Deno.readTextFile(path)).split("\n\n");
    assertEquals(ruleSummaries[id], first!.replaceAll("\n", " "));
  }
});
