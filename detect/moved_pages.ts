import type { Mapped } from "../xen/page_walk.ts";
import { type Guest, PAGE_SIZE } from "./guest.ts";
import type { TrustedRegion } from "./trusted_region.ts";
import { withFrame } from "./with_frame.ts";

/** By page-aligned address, the frame to which it has to lead */
export type PageFrames = ReadonlyMap<bigint, bigint>;

/** Where the pages of regions lead now; those that lead nowhere are left out. */
export function pageFrames(
  guest: Guest,
  regions: readonly TrustedRegion[],
): PageFrames {
  const frames = new Map<bigint, bigint>();
  for (const { start, size } of regions) {
    for (const [page, walk] of guest.walks(start, size).entries()) {
      if (walk.kind !== "mapped") continue;
      frames.set(start + BigInt(page * PAGE_SIZE), walk.frame);
    }
  }
  return frames;
}

/** Of the pages that led somewhere, those that lead elsewhere now. */
export function movedPages(before: PageFrames, now: PageFrames): PageFrames {
  return new Map(
    [...before].filter(([address, frame]) => now.get(address) !== frame),
  );
}

/** A walk as if its last entry led to another frame. */
export function leadingTo(walk: Mapped, frame: bigint): Mapped {
  const steps = walk.steps.map((step, depth) =>
    depth < walk.steps.length - 1 ? step : {
      ...step,
      entry: withFrame(step.entry, frame),
    }
  );
  return { ...walk, frame, steps };
}
