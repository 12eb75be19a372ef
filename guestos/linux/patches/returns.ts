import { branch, BRANCH_SIZE, branchTarget, JUMP } from "../x86_branch.ts";
import { inImage, inText, type Patching, relativeOffsets } from "./patching.ts";

/** `ret`, and breakpoints behind it */
export const RETURN = [0xc3, 0xcc, 0xcc, 0xcc, 0xcc] as const;

/** In front of the thunk that only half of the addresses need */
const LOWER_HALF = 0x20;

/** How the kernel returns: by a thunk or, where the offset is undefined, not. */
export interface ReturnThunk {
  readonly offset: number | undefined;
  /** Whether only sites in the lower half of a cache line use it (ITS) */
  readonly lowerHalf: boolean;
}

/** What stands at a place that returns. */
export function returnCode(
  { offset, lowerHalf }: ReturnThunk,
  at: number,
): Uint8Array {
  const plain = offset === undefined ||
    lowerHalf && (at & LOWER_HALF) !== 0;
  return plain ? Uint8Array.from(RETURN) : branch(JUMP, at, offset);
}

/**
 * Which thunk the guest's kernel returns by. The sites tell: the target that
 * most of them have is the one that all must have, and it must be one of the
 * kernel's own thunks.
 */
export function returnThunk(patching: Patching): ReturnThunk {
  const { image, found } = patching;
  const votes = new Map<number | undefined, number>();
  for (const at of returnSites(patching)) {
    if (!inText(patching, at, BRANCH_SIZE)) continue;
    const target = found[at] === JUMP ? branchTarget(found, at, at) : undefined;
    votes.set(target, (votes.get(target) ?? 0) + 1);
  }
  const its = image.offset("its_return_thunk");
  // With ITS half of the sites have a plain return
  if (its !== undefined && (votes.get(its) ?? 0) > 1000) {
    return { offset: its, lowerHalf: true };
  }
  const most = Math.max(0, ...votes.values());
  const [offset] = [...votes].find(([, count]) => count === most) ??
    [undefined];
  const isThunk = offset !== undefined &&
    image.namesAt(offset).some((name) =>
      name.endsWith("return_thunk") && !name.startsWith("warn")
    );
  return { offset: isThunk ? offset : undefined, lowerHalf: false };
}

function* returnSites(patching: Patching): Generator<number> {
  const { image } = patching;
  const table = image.section(".return_sites");
  for (const at of relativeOffsets(image, table)) {
    if (inImage(patching, at, BRANCH_SIZE)) yield at;
  }
}

/**
 * Replaces the jumps to a common thunk by what the guest's processor needs
 * (`apply_returns`).
 */
export function patchReturns(patching: Patching, thunk: ReturnThunk): void {
  for (const at of returnSites(patching)) {
    patching.text.set(returnCode(thunk, at), at);
  }
}
