import { assertEquals, assertThrows } from "@std/assert";
import { FrameIndex, MAX_PAGES } from "./frame_index.ts";
import { seededRandom } from "../guestos/testing/seeded_random.ts";

/** A frame of 128 TiB */
const LARGE = 2 ** 35;

function indexOf(frames: readonly (number | undefined)[]): FrameIndex {
  return new FrameIndex(frames.length, frames);
}

function found(index: FrameIndex, frames: readonly number[]) {
  return frames.map((frame) => index.find(frame));
}

Deno.test("sparse frames are found in whatever order they come", () => {
  const frames = [LARGE, 7, 0, 2 ** 32, 0xfffff, LARGE - 1, 2 ** 36 - 1, 8];
  assertEquals(found(indexOf(frames), frames), [...frames.keys()]);
});

Deno.test("many frames are found, and no other ones", () => {
  const random = seededRandom(1);
  const frames = new Set<number>();
  while (frames.size < 20_000) frames.add(random(1 << 20) * 2 ** random(17));
  const list = [...frames];
  const index = indexOf(list);
  assertEquals(found(index, list), [...list.keys()]);
  const others = list.map((frame) => frame + 1).filter((frame) =>
    !frames.has(frame)
  );
  assertEquals(found(index, others), others.map(() => undefined));
});

Deno.test("frames that differ in the upper bits only are told apart", () => {
  const index = indexOf([LARGE, 3, 16, 2 ** 32 + 5]);
  const others = [0, 2, 4, 15, 17, 5, 2 ** 32 + 4, 2 ** 32 + 6]
    .concat(LARGE - 1, LARGE + 1, 3 + 2 ** 32, 3 + 2 ** 36, 2 ** 36, 2 ** 52);
  assertEquals(found(index, others), others.map(() => undefined));
});

Deno.test("a page without a frame counts as a position", () => {
  // The invalid frame that Xen writes, as it is read
  const index = indexOf([undefined, 5, 2 ** 64, undefined, 2 ** 36, NaN, 6]);
  assertEquals(found(index, [5, 6]), [1, 6]);
  const others = [0, 2 ** 36, 2 ** 36 - 1, 2 ** 64];
  assertEquals(found(index, others), others.map(() => undefined));
});

Deno.test("of pages with the same frame the first one is found", () => {
  assertEquals(found(indexOf([9, 4, 9, 4, 4]), [9, 4]), [0, 1]);
});

Deno.test("as many frames count as there are pages", () => {
  function* frames() {
    yield* [4, 5, 6];
    throw new Error("No more may be asked for");
  }
  const index = new FrameIndex(2, frames());
  assertEquals(found(index, [4, 5, 6]), [0, 1, undefined]);
  const lacking = new FrameIndex(9, [4, 5]);
  assertEquals(found(lacking, [4, 5, 0]), [0, 1, undefined]);
});

Deno.test("an index of nothing holds nothing", () => {
  assertEquals(found(indexOf([]), [0, LARGE]), [undefined, undefined]);
});

Deno.test("too many pages are refused before memory is taken for them", () => {
  function* frames() {
    yield* [];
    throw new Error("No frame may be asked for");
  }
  for (const count of [MAX_PAGES + 1, 2 ** 40, Infinity]) {
    assertThrows(
      () => new FrameIndex(count, frames()),
      RangeError,
      `A core of ${count} pages is too large`,
    );
  }
});
