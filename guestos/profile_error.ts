/**
 * How far the making of a profile came.
 *
 * - `anchor`: where the kernel is
 * - `boot`: whether the kernel is up
 * - `kernel file`: whether the file is the one that runs
 * - `saved profile`: whether the kept one is of the kernel that runs
 * - `symbols`: the kernel's table of symbols
 * - `types`: the kernel's description of its structures
 * - `tables`: what the kernel rewrites of itself
 */
export type ProfileStep =
  | "anchor"
  | "boot"
  | "kernel file"
  | "saved profile"
  | "symbols"
  | "types"
  | "tables";

/** A kernel of which no profile could be made, and the step that failed. */
export class ProfileError extends Error {
  override readonly name = "ProfileError";

  /** @param reason In words, to follow "because" */
  constructor(readonly step: ProfileStep, reason: string) {
    super(`No profile of the guest's kernel (${step}): ${reason}`);
  }

  /** Whether it may be otherwise when the kernel has come up. */
  get isBooting(): boolean {
    return this.step === "anchor" || this.step === "boot";
  }
}
