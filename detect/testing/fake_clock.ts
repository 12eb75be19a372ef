/**
 * Stands in for `performance.now` until it is disposed of: time goes on only
 * when a test says so.
 */
export class FakeClock implements Disposable {
  #now = 1000;
  #real = performance.now;

  constructor() {
    performance.now = () => this.#now;
  }

  /** Lets so many milliseconds pass. */
  pass(duration: number): void {
    this.#now += duration;
  }

  [Symbol.dispose](): void {
    performance.now = this.#real;
  }
}
