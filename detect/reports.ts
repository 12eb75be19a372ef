import type { EventBody } from "./event.ts";
import type { Finding, Instrumentation, Unreadable } from "./finding.ts";

/** Stopped writes that are told one by one within `WINDOW` ms */
const MAX_STOPPED = 64;
const WINDOW = 10_000;

/**
 * What a guard tells of its guest: no state of affairs twice in a row, and no
 * more than a log bears.
 */
export class Reports {
  #report: (event: EventBody) => void;
  #unreadable: ReadonlySet<string> = new Set();
  #instrumentation: ReadonlySet<string> = new Set();
  /** Since when, and how many stopped writes were told since */
  #stopped = { since: -Infinity, count: 0 };

  /** @param report Gets every event, in order */
  constructor(report: (event: EventBody) => void) {
    this.#report = report;
  }

  /** Tells anything. */
  tell(event: EventBody): void {
    this.#report(event);
  }

  /** Tells something in words. */
  notice(text: string): void {
    this.#report({ type: "notice", text });
  }

  /** Tells what was found. */
  found(findings: readonly Finding[]): void {
    for (const finding of findings) this.#report({ type: "finding", finding });
  }

  /** Tells of stopped writes: a guest must not fill the log with them. */
  stopped(findings: readonly Finding[]): void {
    const now = performance.now();
    if (now - this.#stopped.since > WINDOW) {
      this.#stopped = { since: now, count: 0 };
    }
    for (const finding of findings) {
      const count = this.#stopped.count++;
      if (count > MAX_STOPPED) return;
      if (count < MAX_STOPPED) this.found([finding]);
      else {
        this.notice(
          `more than ${MAX_STOPPED} stopped writes within ` +
            `${WINDOW / 1000} s: the others are not told one by one`,
        );
      }
    }
  }

  /** Tells what could not be read, but for what could not the last time. */
  unreadable(now: readonly Unreadable[]): void {
    const keyed = now.map((unreadable) =>
      [
        `${unreadable.rule.id} ${unreadable.address} ${unreadable.reason}`,
        unreadable,
      ] as const
    );
    for (const [key, unreadable] of keyed) {
      if (!this.#unreadable.has(key)) {
        this.#report({ type: "unreadable", unreadable });
      }
    }
    this.#unreadable = new Set(keyed.map(([key]) => key));
  }

  /** Tells whose hooks there are, but for those that were the last time. */
  instrumentation(now: readonly Instrumentation[]): void {
    for (const instrumentation of now) {
      if (!this.#instrumentation.has(instrumentation.by)) {
        this.#report({ type: "instrumentation", instrumentation });
      }
    }
    this.#instrumentation = new Set(now.map(({ by }) => by));
  }
}
