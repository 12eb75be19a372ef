/** Events a second that are taken at once; a guest that sends more waits */
const MAX_EVENTS_PER_SECOND = 100;

/** How long what comes beyond that has to wait, ms */
export const BACK_OFF_MS = 100;

/** Counts the events of a guest, second by second. */
export class EventRate {
  #limit: number;
  #second = 0;
  #count = 0;

  /** @param limit Events a second that are not too many */
  constructor(limit = MAX_EVENTS_PER_SECOND) {
    this.#limit = limit;
  }

  /** Counts one more; returns whether that is not one too many. */
  next(): boolean {
    const second = Math.floor(performance.now() / 1000);
    this.#count = second === this.#second ? this.#count + 1 : 1;
    this.#second = second;
    return this.#count <= this.#limit;
  }
}
