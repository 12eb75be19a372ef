import type { CodeChange } from "../guestos/profile.ts";
import type { SymbolTable } from "../guestos/symbol_table.ts";
import type { Instrumentation } from "./finding.ts";
import { type Guest, PAGE_SIZE } from "./guest.ts";
import { rules } from "./rules.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/** What the kernel is in the midst of ends sooner than this, ms */
const CHANGE_LIMIT = 2000;
/** And it was seen by so many looks */
const CHANGE_LOOKS = 3;
/** Hooks that are judged again at each look */
const MAX_CHECKS = 256;
/** Longest place that is judged as a whole, bytes */
const MAX_PLACE = 16;

/** A place that was on the way from one form to another. */
interface Changing {
  readonly bytes: string;
  readonly since: number;
  looks: number;
}

/** A place with a hook. */
interface Hooked {
  readonly by: string;
  /** What stood there without it */
  readonly original: Uint8Array;
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
  /** By address of the place */
  #changing = new Map<bigint, Changing>();
  /** Places with a hook, which are looked at even where nothing differs */
  #hooked = new Map<bigint, Hooked>();
  #seen = new Set<bigint>();
  #nextCheck = 0;

  /** @param region With `living` code; its trusted copy is kept up to date */
  constructor(guest: Guest, symbols: SymbolTable, region: TrustedRegion) {
    this.#guest = guest;
    this.#symbols = symbols;
    this.#region = region;
  }

  /** Places that were on the way at the last look: to be looked at again. */
  get changing(): number {
    return this.#changing.size;
  }

  /** To be called before each look. */
  begin(): void {
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
    this.#nextCheck = from + MAX_CHECKS;
    for (const [place, { original }] of places.slice(from, from + MAX_CHECKS)) {
      const change = living.judge(
        place,
        (address, size) => this.#guest.read(address, size),
      );
      if (change.state.kind === "instrumented") continue;
      // It is a difference again, to be judged as one
      this.#hooked.delete(place);
      trusted.set(original, Number(place - start));
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
      const change = living.judge(address, read);
      const offset = Number(change.start - start);
      const whole = change.size <= MAX_PLACE && change.start <= address &&
        offset >= 0 && offset + change.size <= trusted.length;
      if (!whole) continue;
      const bytes = read(change.start, change.size);
      if (!this.#accepts(change, bytes)) {
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
        const { trusted } = this.#region;
        const original = this.#hooked.get(start)?.original ??
          trusted.slice(offset, offset + found.length);
        this.#hooked.set(start, { by: state.by, original });
        trusted.set(found, offset);
        return true;
      }
      case "changing":
        return !this.#lasts(start, found);
      case "foreign":
        return false;
    }
  }

  /** Whether what must not last is there for too long. */
  #lasts(start: bigint, found: Uint8Array): boolean {
    this.#seen.add(start);
    const now = performance.now();
    const bytes = found.toHex();
    const known = this.#changing.get(start);
    if (known?.bytes !== bytes) {
      this.#changing.set(start, { bytes, since: now, looks: 1 });
      return false;
    }
    known.looks++;
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
