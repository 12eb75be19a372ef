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
  /** Searches that Xen refused */
  #blind = 0;
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
    let frames: readonly bigint[] = [];
    const isKnown = this.#tries(() => {
      frames = find();
    });
    if (!isKnown) this.#blind++;
    for (const frame of frames) {
      if (this.#tries(() => guard(frame))) this.#guarded++;
      else this.#refused++;
    }
  }

  /** Does something; says whether Xen lets it. */
  #tries(work: () => void): boolean {
    try {
      work();
      return true;
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      this.#reason = error.message;
      return false;
    }
  }

  /**
   * What has not been told yet, unless something was a moment ago: a guest can
   * do so all the time.
   *
   * @param now In ms
   */
  tell(now: number): string | undefined {
    if (now - this.#told < TELL_INTERVAL) return undefined;
    const texts: string[] = [];
    if (this.#guarded > 0) {
      texts.push(
        `the guest had Xen replace guarded pages (${this.#guarded} times), ` +
          "which are guarded again",
      );
    }
    if (this.#refused > 0) {
      texts.push(
        "Xen refuses to guard pages that came in the place of others " +
          `(${this.#refused} times): ${this.#reason}`,
      );
    }
    if (this.#blind > 0) {
      texts.push(
        "Xen does not say which guarded pages the guest has replaced: " +
          this.#reason,
      );
    }
    if (texts.length === 0) return undefined;
    this.#guarded = 0;
    this.#refused = 0;
    this.#blind = 0;
    this.#told = now;
    return texts.join("; ");
  }
}
