/** How long a guest may have to wait because its monitor is stopped or stuck, s */
const HANG_LIMIT = 30;
/**
 * The same because it computes, s: on an emulated processor that is busy with
 * other things, arming takes half of it
 */
const BUSY_LIMIT = 120;

/** What is left of both for a sign that comes late, ms */
const GRACE = 5000;
/** Who works for less than this part of a time does not compute */
const WORKING = 0.01;

/** Of a {@linkcode Watchdog}, ms */
export interface WatchdogLimits {
  /** How long after a sign the next one has to come */
  readonly hang: number;
  /** The same if there is work all the time */
  readonly busy: number;
  /** How much of both is waited for anew once the rest is over */
  readonly grace: number;
}

/**
 * Notices that signs of life do not come any more. Who works is waited for
 * longer, as long as it does so without a break once its time is over. If the
 * whole host stood still there is time for the next sign.
 */
export class Watchdog implements Disposable {
  readonly #worked: () => number;
  readonly #expired: (silence: number) => void;
  readonly #limits: WatchdogLimits;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param worked How long was worked so far, ms
   * @param expired Called once if no sign comes in time, with how long there was
   *   none, ms
   */
  constructor(
    worked: () => number,
    expired: (silence: number) => void,
    limits: WatchdogLimits = {
      hang: HANG_LIMIT * 1000,
      busy: BUSY_LIMIT * 1000,
      grace: GRACE,
    },
  ) {
    this.#worked = worked;
    this.#expired = expired;
    this.#limits = limits;
  }

  /** A sign of life: the next one has to come in time. */
  sign(): void {
    this.rest();
    const { hang, grace } = this.#limits;
    this.#timer = setTimeout(() => this.#doubt(hang), hang - grace);
  }

  /** @param silence How long it will have been silent then, ms */
  #doubt(silence: number): void {
    const { busy, grace } = this.#limits;
    const before = this.#worked();
    this.#timer = setTimeout(() => {
      const worked = this.#worked() - before;
      if (silence < busy && worked > grace * WORKING) {
        this.#doubt(silence + grace);
      } else this.#expired(silence);
    }, grace);
  }

  /** No sign has to come. */
  rest(): void {
    clearTimeout(this.#timer);
  }

  [Symbol.dispose](): void {
    this.rest();
  }
}
