const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/** Turns the signals that ask a program to end into an orderly end. */
export class StopSignals implements Disposable {
  #controller = new AbortController();
  #listener = () => this.stop();

  constructor() {
    for (const name of SIGNALS) Deno.addSignalListener(name, this.#listener);
  }

  /** Aborted once somebody wants an end */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Asks for the end from inside. */
  stop(): void {
    this.#controller.abort();
  }

  [Symbol.dispose](): void {
    for (const name of SIGNALS) Deno.removeSignalListener(name, this.#listener);
  }
}
