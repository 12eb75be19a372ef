import { assertEquals } from "@std/assert";
import { ImageBuilder } from "../testing/image_builder.ts";
import { patchingOf } from "../testing/patching.ts";
import { lockPrefixes } from "./lock_prefixes.ts";

const LOCK = 0xf0;
const DS = 0x3e;
const PATCHED = 0x6000;
const INSIDE = 0x100;
const OUTSIDE = 0x900;

/** What may stand at each lock prefix, the likeliest first, by its place. */
function forms(
  patched: number,
  sure?: { offset: number; size: number },
): [number, number[]][] {
  const builder = new ImageBuilder()
    .put(INSIDE, [LOCK]).put(OUTSIDE, [LOCK])
    .data({ uniproc_patched: PATCHED }).put(PATCHED, [patched])
    // The last one is no lock prefix
    .relative(".smp_locks", 0x5000, [INSIDE, OUTSIDE, 0x200]);
  const patching = patchingOf(builder);
  return [...lockPrefixes(patching, sure)].map(({ at, forms }) => [
    at,
    forms(patching.guest).flatMap((form) => [...form]),
  ]);
}

Deno.test("a kernel on one processor has no lock prefix left", () => {
  assertEquals(forms(1), [[INSIDE, [DS]], [OUTSIDE, [DS]]]);
});

Deno.test("where a kernel may not look, a lock prefix may stay", () => {
  assertEquals(forms(1, { offset: 0, size: 0x800 }), [
    [INSIDE, [DS]],
    [OUTSIDE, [DS, LOCK]],
  ]);
});

Deno.test("a kernel on several processors has every lock prefix", () => {
  for (const sure of [undefined, { offset: 0, size: 0x800 }]) {
    assertEquals(forms(0, sure), [[INSIDE, [LOCK]], [OUTSIDE, [LOCK]]]);
  }
});
