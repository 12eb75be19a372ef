import type { EventLoop } from "../event_loop.ts";

/** An event loop of one descriptor; the test says when it can be read. */
export class ManualLoop {
  #readable: (() => void) | undefined;

  /** The same as what is tested takes it. */
  get loop(): EventLoop {
    return this as unknown as EventLoop;
  }

  add(_fd: number, readable: () => void): void {
    this.#readable = readable;
  }

  remove(): void {
    this.#readable = undefined;
  }

  /** The descriptor can be read. */
  notify(): void {
    this.#readable!();
  }
}
