/** Events a second that are taken at once; a guest that sends more waits */
const MAX_EVENTS_PER_SECOND = 100;

/** How long what comes beyond that has to wait, ms */
export const BACK_OFF_MS = 100;

/** Counts the events of a guest, second by second, or in longer spans. */
export class EventRate {
  #limit: number;
  #spanMs: number;
  #span = 0;
  #count = 0;

  /**
   * @param limit Events in a span of time that are not too many
   * @param seconds How long such a span is
   */
  constructor(limit = MAX_EVENTS_PER_SECOND, seconds = 1) {
    this.#limit = limit;
    this.#spanMs = seconds * 1000;
  }

  /** Counts one more; returns whether that is not one too many. */
  next(): boolean {
    const span = Math.floor(performance.now() / this.#spanMs);
    this.#count = span === this.#span ? this.#count + 1 : 1;
    this.#span = span;
    return this.#count <= this.#limit;
  }
}
