/**
 * Waits that a signal ends. One listener serves all of them: a monitor waits
 * every second of its life.
 */
export class Sleeper implements Disposable {
  #signal: AbortSignal;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #wake = () => {};
  #stop = () => {
    clearTimeout(this.#timer);
    this.#wake();
  };

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this.#stop);
  }

  /** Waits some milliseconds, or until the signal; one wait at a time. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#timer = setTimeout(resolve, ms);
      if (this.#signal.aborted) this.#stop();
    });
  }

  /** To be called when no wait is under way. */
  [Symbol.dispose](): void {
    this.#signal.removeEventListener("abort", this.#stop);
  }
}
