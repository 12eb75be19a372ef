import { constants } from "./constants.ts";
import { XenError } from "./errors.ts";
import { errno } from "./control.ts";
import { pollfd } from "./layouts.ts";
import type { Libraries } from "./libraries.ts";

const { EFD_CLOEXEC, POLLIN, POLLERR, POLLHUP, POLLNVAL } = constants;
/** What poll(2) reports of a descriptor that is worth a look */
const READABLE = POLLIN | POLLERR | POLLHUP | POLLNVAL;

/**
 * How long the next event is waited for in JavaScript's own thread, seconds and
 * ns: one that comes soon after another has not to pass from thread to thread.
 */
const SOON = new BigInt64Array([0n, 1_000_000n]);
/** For so long at most, ms: timers and signals have to wait meanwhile */
const MAX_SOON = 8;

/**
 * Waits for file descriptors of Xen's libraries outside JavaScript's thread,
 * in one poll(2), and calls back when one is readable.
 */
export class EventLoop implements Disposable {
  #libraries: Libraries;
  #wakeFd: number;
  #sources = new Map<number, () => void>();
  /** Those that the poll under way is about, but for what has gone meanwhile */
  #polled = new Map<number, () => void>();
  #running: Promise<void> | undefined;
  #stopped = false;

  /** @throws {XenError} If no eventfd can be had */
  constructor(libraries: Libraries) {
    this.#libraries = libraries;
    this.#wakeFd = libraries.libc.symbols.eventfd(0, EFD_CLOEXEC);
    if (this.#wakeFd < 0) throw new XenError("eventfd", errno(libraries));
  }

  /** Calls back each time that the descriptor is readable. */
  add(fd: number, readable: () => void): void {
    this.#sources.set(fd, readable);
    // What is polled is another one, which had the same number
    this.#polled.delete(fd);
    this.#wake();
  }

  /** Ends what `add` began. */
  remove(fd: number): void {
    this.#sources.delete(fd);
    this.#polled.delete(fd);
    this.#wake();
  }

  #wake(): void {
    this.#libraries.libc.symbols.eventfd_write(this.#wakeFd, 1n);
  }

  /**
   * Runs until `stop`.
   *
   * @throws What a callback throws
   */
  run(): Promise<void> {
    this.#running ??= this.#loop();
    return this.#running;
  }

  async #loop(): Promise<void> {
    const { poll, ppoll, eventfd_read } = this.#libraries.libc.symbols;
    const drained = new Uint8Array(8);
    const timeout = new Uint8Array(SOON.buffer);
    /** When JavaScript's other work had its turn, if events come since then */
    let turn: number | undefined;
    while (!this.#stopped) {
      this.#polled = new Map(this.#sources);
      const fds = [this.#wakeFd, ...this.#polled.keys()];
      const buffer = new Uint8Array(fds.length * pollfd.size);
      const view = new DataView(buffer.buffer);
      for (const [index, fd] of fds.entries()) {
        view.setInt32(index * pollfd.size + pollfd.fd, fd, true);
        view.setInt16(index * pollfd.size + pollfd.events, POLLIN, true);
      }
      // Errors, a signal among them, are tried again: fds are all our own
      const count = BigInt(fds.length);
      if (turn === undefined || performance.now() - turn > MAX_SOON) {
        await poll(buffer, count, -1);
        turn = performance.now();
      } else {
        // What callbacks have promised begins before
        await undefined;
        if (ppoll(buffer, count, timeout, null) <= 0) turn = undefined;
      }
      // From here on an attacker's time runs: nothing is allocated
      for (let index = 0; index < fds.length && !this.#stopped; index++) {
        const at = index * pollfd.size + pollfd.revents;
        if ((view.getInt16(at, true) & READABLE) === 0) continue;
        const fd = fds[index]!;
        if (fd === this.#wakeFd) eventfd_read(fd, drained);
        else this.#polled.get(fd)?.();
      }
    }
  }

  /** Ends `run` and waits until it has ended. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#wake();
    await this.#running;
  }

  /** To be called after `stop`. */
  [Symbol.dispose](): void {
    this.#libraries.libc.symbols.close(this.#wakeFd);
  }
}
