import { XenError } from "./errors.ts";

/** What is to be told is told at most once in this time, ms */
const TELL_INTERVAL = 60_000;

/**
 * Guards pages again that are ordinary ones since the guest had Xen replace
 * them, and says how many.
 */
export class ReplacedPages {
  #guarded = 0;
  #refused = 0;
  #reason = "";
  #told = -Infinity;

  /**
   * Guards pages, each by itself: the guest may give one back meanwhile, or have
   * a grant in its place, which Xen refuses to change.
   *
   * @param find Guest frames that are to be guarded and are not
   * @param guard Guards one
   */
  guard(find: () => readonly bigint[], guard: (frame: bigint) => void): void {
    for (const frame of this.#unlessRefused(find) ?? []) {
      this.#unlessRefused(() => {
        guard(frame);
        this.#guarded++;
      });
    }
  }

  #unlessRefused<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      this.#refused++;
      this.#reason = error.message;
      return undefined;
    }
  }

  /**
   * What has not been told yet, unless something was a moment ago: a guest can
   * do so all the time.
   *
   * @param now In ms
   */
  tell(now: number): string | undefined {
    if (this.#guarded + this.#refused === 0) return undefined;
    if (now - this.#told < TELL_INTERVAL) return undefined;
    const guarded =
      `the guest had Xen replace guarded pages (${this.#guarded} ` +
      "times), which are guarded again";
    const refused = `Xen refuses to guard pages that came in the place of ` +
      `others (${this.#refused} times): ${this.#reason}`;
    const texts = [
      ...(this.#guarded > 0 ? [guarded] : []),
      ...(this.#refused > 0 ? [refused] : []),
    ];
    this.#guarded = 0;
    this.#refused = 0;
    this.#told = now;
    return texts.join("; ");
  }
}
