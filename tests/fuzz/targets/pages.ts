import { assert } from "@std/assert";
import { libc } from "../../../xen/ffi.ts";
import { FrameMapping } from "../../../xen/frame_mapping.ts";
import { openFirst, sonames } from "../../../xen/libraries.ts";
import { mappedRanges } from "../../../xen/mapped_ranges.ts";
import { type Levels, walkPageTables } from "../../../xen/page_walk.ts";
import { TableCache } from "../../../xen/table_cache.ts";
import type { Seed, Target } from "../target.ts";

const PAGE = 4096;
/** Before the tables: 8 bytes of address, 1 of levels, 1 of the range's size */
const HEADER = 16;
const FRAMES = 6;
const PRESENT = 1n;
const WRITABLE = 2n;
const LARGE = 1n << 7n;
const TOP = 1n << 64n;

const library = openFirst(sonames.libc, libc);

/** Tables of one root, two leaves and what is between. */
function seedOf(levels: Levels, address: bigint, link: bigint): Seed {
  const bytes = new Uint8Array(HEADER + FRAMES * PAGE);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, address, true);
  view.setUint8(8, levels);
  view.setUint8(9, 30);
  const ranges: [number, number][] = [[0, 10]];
  const set = (frame: number, index: number, entry: bigint) => {
    const at = HEADER + frame * PAGE + 8 * index;
    view.setBigUint64(at, entry, true);
    ranges.push([at, at + 8]);
  };
  for (let level: number = levels; level >= 1; level--) {
    const frame = levels - level;
    const index = Number(address >> BigInt(12 + 9 * (level - 1)) & 0x1ffn);
    const next = level === 1 ? 0x1234n : BigInt(frame + 1);
    set(frame, index, next << 12n | PRESENT | WRITABLE);
    if (level === 1) set(frame, (index + 1) % 512, 7n << 12n | PRESENT);
    if (level === 2) set(frame, (index + 1) % 512, 9n << 21n | PRESENT | LARGE);
    if (level === levels) set(frame, (index + 1) % 512, link);
  }
  return { bytes, ranges };
}

/** Page tables of a guest, of which the first frame is the root. */
export const pages: Target = {
  name: "pages",
  seeds: [
    seedOf(4, 0xffff_ffff_8100_0000n, 0n),
    seedOf(4, 0xffff_8880_0000_0000n, PRESENT),
    seedOf(5, 0xff11_0000_1234_5000n, 2n << 12n | PRESENT),
  ],
  limit: 10_000,
  read(input) {
    const view = new DataView(input.buffer);
    if (input.length < HEADER) return false;
    const count = Math.floor((input.length - HEADER) / PAGE);
    if (count === 0) return false;
    const levels: Levels = input[8]! % 2 === 0 ? 4 : 5;
    const address = view.getBigUint64(0, true);
    const tables = new TableCache({
      map: (frames) => {
        const [frame = 0n] = frames;
        if (frame >= BigInt(count)) return [0];
        const at = HEADER + Number(frame) * PAGE;
        const pointer = Deno.UnsafePointer.of(input.subarray(at));
        return new FrameMapping(library, pointer!, 1, () => {});
      },
    });
    const walk = walkPageTables(tables.entry, 0n, address, levels);
    assert(walk.steps.length <= levels);

    const start = BigInt.asUintN(
      64,
      BigInt.asIntN(12 + 9 * levels, address) & -4096n,
    );
    const half = start >> 63n === 0n ? 1n << BigInt(11 + 9 * levels) : TOP;
    const size = 1n << BigInt(12 + input[9]! % 46);
    const end = start + size > half ? half : start + size;
    const { ranges } = mappedRanges(
      tables,
      0n,
      start,
      end,
      levels,
      input[10] === 1,
    );
    let before = start;
    for (const range of ranges) {
      assert(range.start >= before && range.size > 0n);
      before = range.start + range.size;
      assert(before <= end);
    }
    return walk.kind === "mapped";
  },
};
