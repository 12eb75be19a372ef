import { assertEquals, assertMatch, assertThrows } from "@std/assert";
import { XenError } from "./errors.ts";
import { ReplacedPages } from "./replaced_pages.ts";

const EINVAL = 22;

Deno.test("each page is guarded, whatever becomes of others", () => {
  const pages = new ReplacedPages();
  const guarded: bigint[] = [];
  pages.guard(() => [1n, 2n, 3n], (frame) => {
    if (frame === 2n) throw new XenError("set_mem_type", EINVAL);
    guarded.push(frame);
  });
  assertEquals(guarded, [1n, 3n]);
  assertEquals(
    pages.tell(0),
    "the guest had Xen replace guarded pages (2 times), which are guarded " +
      "again; Xen refuses to guard pages that came in the place of others " +
      "(1 times): set_mem_type: invalid (EINVAL)",
  );
});

Deno.test("where Xen does not say which pages they are that is told", () => {
  const pages = new ReplacedPages();
  pages.guard(() => {
    throw new XenError("memory_op", EINVAL);
  }, () => {});
  assertMatch(pages.tell(0)!, /^Xen does not say .*memory_op: invalid/);
});

Deno.test("what comes within a minute is told together", () => {
  const pages = new ReplacedPages();
  assertEquals(pages.tell(0), undefined);
  for (const now of [0, 1000, 30_000, 59_999]) {
    pages.guard(() => [1n], () => {});
    const told = pages.tell(now);
    assertEquals(told !== undefined, now === 0);
  }
  const told =
    "the guest had Xen replace guarded pages (3 times), which are guarded again";
  assertEquals(pages.tell(60_000), told);
  assertEquals(pages.tell(120_000), undefined);
});

Deno.test("what is no refusal of Xen is an error", () => {
  const pages = new ReplacedPages();
  assertThrows(() =>
    pages.guard(() => [1n], () => {
      throw new TypeError("a mistake");
    }), TypeError);
});
