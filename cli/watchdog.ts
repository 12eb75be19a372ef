/**
 * How long a guest may have to wait because its monitor hangs, s: on an emulated
 * processor arming takes a third of it
 */
export const HANG_LIMIT = 30;

/** What is left of that for a sign that comes late, ms */
const GRACE = 5000;

/**
 * Notices that signs of life do not come any more. If the whole host stood
 * still there is time for the next one.
 */
export class Watchdog implements Disposable {
  readonly #expired: () => void;
  readonly #limit: number;
  readonly #grace: number;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param expired Called once if no sign comes in time
   * @param limit How long after a sign that is, in all, ms
   * @param grace How much of it is waited for anew once the rest is over, ms
   */
  constructor(
    expired: () => void,
    limit = HANG_LIMIT * 1000,
    grace = GRACE,
  ) {
    this.#expired = expired;
    this.#limit = limit;
    this.#grace = grace;
  }

  /** A sign of life: the next one has to come in time. */
  sign(): void {
    this.rest();
    this.#timer = setTimeout(() => {
      this.#timer = setTimeout(this.#expired, this.#grace);
    }, this.#limit - this.#grace);
  }

  /** No sign has to come. */
  rest(): void {
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    this.rest();
  }
}
