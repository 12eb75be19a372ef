import { patchAlternatives } from "./alternatives.ts";
import { patchConstants } from "./constants.ts";
import { patchParavirt } from "./paravirt.ts";
import { inText, type Patching, relativeOffsets } from "./patching.ts";
import { patchRetpolines, type RetpolineMode } from "./retpolines.ts";
import { patchReturns, type ReturnThunk, returnThunk } from "./returns.ts";

const ENDBR = [0xf3, 0x0f, 0x1e, 0xfa] as const;
/** In place of `endbr64` where no pointer leads, as NOPs of 4 bytes */
const SEALS = [[0x66, 0x0f, 0x1f, 0x00], [0x0f, 0x1f, 0x40, 0xd6]] as const;

/** What the kernel chose for all of its code when it booted. */
export interface BootChoices {
  /** How it returns from functions */
  readonly thunk: ReturnThunk;
  /** How it calls through registers */
  readonly retpoline: RetpolineMode;
  /** What it writes over marks of a branch's target */
  readonly seal: readonly number[];
}

/**
 * What the kernel does to code once, while it boots or loads a module: in its
 * own order (`alternative_instructions`, `module_finalize`).
 *
 * @param known What it chose, for code of which that is known; else the places
 *   themselves tell
 * @returns What it chose
 */
export function patchOnce(
  patching: Patching,
  known?: BootChoices,
): BootChoices {
  const { image } = patching;
  // Up to 5.11 paravirt calls come last
  const last = image.btf.member("paravirt_patch_template", "init.patch") !==
    undefined;
  if (!last) patchParavirt(patching);
  const retpoline = patchRetpolines(patching, known?.retpoline);
  const thunk = known?.thunk ?? returnThunk(patching);
  patchReturns(patching, thunk);
  patchAlternatives(patching);
  const seal = patchMarks(patching, known?.seal);
  if (last) patchParavirt(patching);
  patchConstants(patching);
  return { thunk, retpoline, seal };
}

/** Without a pointer to them, functions lose the mark of a branch's target. */
function patchMarks(
  patching: Patching,
  known: readonly number[] | undefined,
): readonly number[] {
  const { image, text, found } = patching;
  const places = [
    ...relativeOffsets(image, image.section(".ibt_endbr_seal")),
  ].filter((at) => inText(patching, at, ENDBR.length));
  const votes = SEALS.map((seal) =>
    places.filter((at) => seal.every((byte, i) => found[at + i] === byte))
      .length
  );
  const chosen = known ?? SEALS[votes.indexOf(Math.max(...votes))]!;
  for (const at of places) {
    if (ENDBR.every((byte, i) => text[at + i] === byte)) text.set(chosen, at);
  }
  return chosen;
}
