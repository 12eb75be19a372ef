import { UnreadableMemoryError } from "../guestos/memory.ts";
import type { CodeChange, CodeState, LivingCode } from "../guestos/profile.ts";
import type { SymbolTable } from "../guestos/symbol_table.ts";
import type { Instrumentation } from "./finding.ts";
import { type Guest, PAGE_SIZE } from "./guest.ts";
import { rules } from "./rules.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/** What the kernel is in the midst of ends sooner than this, ms */
const CHANGE_LIMIT = 2000;
/** While it says that it is at work it may take as long as this, ms */
const BUSY_LIMIT = 300_000;
/** And it was seen by so many looks */
const CHANGE_LOOKS = 3;
/** Hooks that are judged again at each look */
const MAX_CHECKS = 256;
/** Longest place that is judged as a whole, bytes */
const MAX_PLACE = 16;

/** A place that was on the way from one form to another. */
interface Changing {
  readonly bytes: string;
  readonly first: number;
  /** Since when it should have been over */
  since: number;
  looks: number;
}

/** A place with a hook. */
interface Hooked {
  readonly by: string;
  /** Bytes that it took at most: a probe may become a jump, and back */
  readonly size: number;
}

/** Places of one hook at one look. */
interface Hook {
  readonly address: bigint;
  places: number;
}

/**
 * Tells what a kernel did to its own code from what others did. What it did
 * becomes part of the trusted copy: it need not be judged again.
 */
export class LivingText {
  #guest: Guest;
  #symbols: SymbolTable;
  #region: TrustedRegion;
  /** What is there without anybody's hooks */
  #pristine: Uint8Array;
  /** By address of the place */
  #changing = new Map<bigint, Changing>();
  /** Places with a hook, which are looked at even where nothing differs */
  #hooked = new Map<bigint, Hooked>();
  /** Positions of pages where a hook was that is accounted for no more */
  #disowned = new Set<number>();
  #seen = new Set<bigint>();
  #nextCheck = 0;
  /** Whether the kernel says that it is changing its code, once it is asked */
  #busy: boolean | undefined;
  /** By address, what was said of it at this look */
  #summaries = new Map<bigint, string>();

  /** @param region With `living` code; its trusted copy is kept up to date */
  constructor(guest: Guest, symbols: SymbolTable, region: TrustedRegion) {
    this.#guest = guest;
    this.#symbols = symbols;
    this.#region = region;
    this.#pristine = region.trusted.slice();
  }

  /** What a finding at an address is about, where more is known of it. */
  summary(address: bigint): string | undefined {
    return this.#summaries.get(address);
  }

  /** Places that were on the way at the last look: to be looked at again. */
  get changing(): number {
    return this.#changing.size;
  }

  /**
   * Positions of pages that may differ though nothing was written to them: the
   * trusted copy has changed.
   */
  get disowned(): Iterable<number> {
    return this.#disowned;
  }

  /** To be called before each look. */
  begin(): void {
    this.#summaries.clear();
    this.#busy = undefined;
    this.#seen.clear();
    this.#recheck();
  }

  /**
   * A hook is accepted as long as the kernel accounts for it: the bytes alone
   * do not show that it does not any more.
   */
  #recheck(): void {
    const { living, start, trusted } = this.#region;
    if (living === undefined || this.#hooked.size === 0) return;
    const places = [...this.#hooked];
    const from = this.#nextCheck % places.length;
    const end = Math.min(from + MAX_CHECKS, places.length);
    this.#nextCheck = end;
    for (const [place, { size }] of places.slice(from, end)) {
      if (this.#isHook(living, place)) continue;
      // It is a difference again, to be judged as one
      this.#hooked.delete(place);
      const at = Number(place - start);
      trusted.set(this.#pristine.subarray(at, at + size), at);
      this.#disowned.add(Math.floor(at / PAGE_SIZE));
      this.#disowned.add(Math.floor((at + size - 1) / PAGE_SIZE));
    }
  }

  /** Whether the kernel accounts for a hook; not where that cannot be read. */
  #isHook(living: LivingCode, place: bigint): boolean {
    try {
      const { state } = living.judge(
        place,
        (address, size) => this.#guest.read(address, size),
      );
      return state.kind === "instrumented";
    } catch (error) {
      if (!(error instanceof UnreadableMemoryError)) throw error;
      return false;
    }
  }

  /** To be called after each look: what is not on the way any more is over. */
  end(): void {
    for (const start of this.#changing.keys()) {
      if (!this.#seen.has(start)) this.#changing.delete(start);
    }
  }

  /**
   * Takes from a page that differs what its kernel accounts for.
   *
   * @param page Position of the page in the region
   * @param found The page's bytes
   * @returns The page's bytes with those of the trusted copy in their places
   * @throws {UnreadableMemoryError} If the guest cannot be read
   */
  explain(page: number, found: Uint8Array): Uint8Array {
    const { living, start, trusted } = this.#region;
    if (living === undefined) return found;
    const from = page * PAGE_SIZE;
    const explained = found.slice();
    const read = (address: bigint, size: number) =>
      this.#read(address, size, start + BigInt(from), found);
    for (let at = 0; at < PAGE_SIZE; at++) {
      if (explained[at] === trusted[from + at]) continue;
      const address = start + BigInt(from + at);
      let change = living.judge(address, read);
      let bytesNow = read;
      if (change.state.kind === "foreign") {
        if (this.#isTakenOut(address, read)) continue;
        // What makes it legitimate may be younger than what was read of it
        if (living.renew?.()) {
          bytesNow = (from, size) => this.#guest.read(from, size);
          if (bytesNow(address, 1)[0] === trusted[from + at]) {
            explained[at] = trusted[from + at]!;
            continue;
          }
          change = living.judge(address, bytesNow);
        }
      }
      const offset = Number(change.start - start);
      const whole = change.size <= MAX_PLACE && change.start <= address &&
        offset >= 0 && offset + change.size <= trusted.length;
      if (!whole) continue;
      const bytes = bytesNow(change.start, change.size);
      if (!this.#accepts(change, bytes)) {
        this.#summaries.set(address, summaryOf(change.state));
        // The rest of the place is part of the same finding
        at = Math.max(at, offset + change.size - 1 - from);
        continue;
      }
      for (let i = 0; i < change.size; i++) {
        const place = offset + i - from;
        if (place >= 0 && place < PAGE_SIZE) {
          explained[place] = trusted[offset + i]!;
        }
      }
    }
    return explained;
  }

  /**
   * Whether bytes that are about to be written may be the kernel's work. A hook
   * may be written before the kernel's lists know of it, so at places that it
   * rewrites any bytes may.
   *
   * @param address In the region, where the first is to stand
   * @throws {UnreadableMemoryError} If the guest cannot be read
   */
  mayPatch(address: bigint, bytes: Uint8Array): boolean {
    const { living, start, trusted } = this.#region;
    if (living === undefined) return false;
    const at = Number(address - start);
    const read = (place: bigint, size: number) => {
      const found = this.#guest.read(place, size).slice();
      const from = Number(place - start);
      bytes.forEach((byte, i) => {
        const place = at + i - from;
        if (place >= 0 && place < size) found[place] = byte;
      });
      return found;
    };
    for (let i = 0; i < bytes.length; i++) {
      const place = at + i;
      const byte = bytes[i];
      if (byte === trusted[place] || byte === this.#pristine[place]) continue;
      const { start: first, size, state, isElsewhere } = living.judge(
        start + BigInt(place),
        read,
      );
      const isRogue = state.kind === "foreign" && isElsewhere;
      if (isRogue && !living.isUncertain?.()) return false;
      // The rest of the place is part of the same change
      i = Math.max(i, Number(first - start) + size - 1 - at);
    }
    return true;
  }

  /**
   * Whether what stood at a hook's place before it is back: the hook may be
   * judged again only at a later look.
   */
  #isTakenOut(
    address: bigint,
    read: (address: bigint, size: number) => Uint8Array,
  ): boolean {
    const offset = Number(address - this.#region.start);
    const byte = this.#pristine[offset]!;
    if (read(address, 1)[0] !== byte) return false;
    for (let before = 0; before < MAX_PLACE; before++) {
      const place = address - BigInt(before);
      const hooked = this.#hooked.get(place);
      if (hooked === undefined || hooked.size <= before) continue;
      this.#region.trusted[offset] = byte;
      const from = offset - before;
      const original = this.#pristine.subarray(from, from + hooked.size);
      const found = read(place, hooked.size);
      if (original.every((byte, i) => byte === found[i])) {
        this.#region.trusted.set(original, from);
        this.#hooked.delete(place);
      }
      return true;
    }
    return false;
  }

  #read(
    address: bigint,
    size: number,
    page: bigint,
    found: Uint8Array,
  ): Uint8Array {
    const at = Number(address - page);
    return at >= 0 && at + size <= PAGE_SIZE
      ? found.subarray(at, at + size)
      : this.#guest.read(address, size);
  }

  /** Whether a change is no finding, at least not yet. */
  #accepts({ start, state }: CodeChange, found: Uint8Array): boolean {
    const offset = Number(start - this.#region.start);
    switch (state.kind) {
      case "own":
        this.#hooked.delete(start);
        this.#region.trusted.set(found, offset);
        return true;
      case "instrumented": {
        const size = Math.max(
          this.#hooked.get(start)?.size ?? 0,
          found.length,
        );
        this.#hooked.set(start, { by: state.by, size });
        this.#region.trusted.set(found, offset);
        return true;
      }
      case "changing":
        return !this.#lasts(start, found);
      case "foreign":
        return false;
    }
  }

  #isBusy(): boolean {
    try {
      return this.#busy ??= this.#region.living?.isBusy?.() ?? false;
    } catch (error) {
      if (!(error instanceof UnreadableMemoryError)) throw error;
      return this.#busy = false;
    }
  }

  /** Whether what must not last is there for too long. */
  #lasts(start: bigint, found: Uint8Array): boolean {
    // One that crosses pages is met on each of them
    const again = this.#seen.has(start);
    this.#seen.add(start);
    const now = performance.now();
    const bytes = found.toHex();
    const known = this.#changing.get(start);
    if (known?.bytes !== bytes) {
      this.#changing.set(start, {
        bytes,
        first: now,
        since: now,
        looks: 1,
      });
      return false;
    }
    if (this.#isBusy() && now - known.first < BUSY_LIMIT) {
      known.since = now;
      known.looks = 1;
      return false;
    }
    if (!again) known.looks++;
    return known.looks >= CHANGE_LOOKS && now - known.since > CHANGE_LIMIT;
  }

  /** The hooks that are there, one a kind and owner. */
  *instrumentation(): Generator<Instrumentation> {
    const hooks = new Map<string, Hook>();
    for (const [address, { by }] of this.#hooked) {
      const known = hooks.get(by);
      if (known === undefined) hooks.set(by, { address, places: 1 });
      else known.places++;
    }
    for (const [by, { address, places }] of hooks) {
      yield {
        rule: rules.instrumentation,
        by,
        address,
        symbol: this.#symbols.describe(address),
        places,
      };
    }
  }
}

function summaryOf(state: CodeState): string {
  return state.kind === "foreign"
    ? state.summary
    : "the kernel was changing this place itself, and did not finish";
}
