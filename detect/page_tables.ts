import type { SymbolTable } from "../guestos/symbol_table.ts";
import type { Mapped, NotMapped, WalkStep } from "../xen/page_walk.ts";
import type {
  Detector,
  Drift,
  Finding,
  Remedy,
  Unreadable,
} from "./finding.ts";
import { type Guest, PAGE_SIZE, type WritableGuest } from "./guest.ts";
import { littleEndian } from "./little_endian.ts";
import { leadingTo, type PageFrames } from "./moved_pages.ts";
import { rules } from "./rules.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/** Bits that the processor sets by itself: accessed and dirty */
const IGNORED = 0x60n;

const WRITABLE = 2n;

/** The way to one page as it must be. */
interface Baseline {
  readonly region: TrustedRegion;
  readonly address: bigint;
  readonly walk: Mapped;
}

/**
 * XK-003: every protected address leads to the frame to which it led when
 * xkmon armed, through the same tables with the same permissions, and no new
 * mapping makes its frame writable.
 */
export class PageTables implements Detector {
  readonly rule = rules.pageTables;
  #guest: Guest;
  #symbols: SymbolTable;
  #seen: {
    region: TrustedRegion;
    walks: readonly (Mapped | NotMapped)[];
    /** By page; none for a page that was not mapped */
    baselines: readonly (Baseline | undefined)[];
  }[] = [];
  #frames = new Map<bigint, Baseline>();
  /** The same set each time, so that a scan can stand for the next one */
  #wanted: ReadonlySet<bigint>;
  /** By address: frames of other mappings that nobody made read-only */
  #trusted = new Map<bigint, bigint>();

  /**
   * The page tables as they are now are trusted; to be made after the regions
   * were made read-only. One that may be `writable` was not, and may have
   * writable mappings now.
   *
   * @param moved Where pages have to lead that now lead elsewhere
   */
  constructor(
    guest: Guest,
    symbols: SymbolTable,
    regions: readonly TrustedRegion[],
    moved: PageFrames = new Map(),
  ) {
    this.#guest = guest;
    this.#symbols = symbols;
    for (const region of regions) {
      const walks = guest.walks(region.start, region.size);
      const baselines = walks.map((walk, page) => {
        if (walk.kind !== "mapped") return undefined;
        const address = region.start + BigInt(page * PAGE_SIZE);
        const frame = moved.get(address);
        const right = frame === undefined ? walk : leadingTo(walk, frame);
        const baseline = { region, address, walk: right };
        this.#frames.set(right.frame, baseline);
        return baseline;
      });
      // A page that is not as it must be after all has to be judged, too
      const wrong = walks.some((walk, page) =>
        walk.kind === "mapped" &&
        (walk.writable || walk !== baselines[page]?.walk)
      );
      this.#seen.push({ region, walks: wrong ? [] : walks, baselines });
    }
    this.#wanted = new Set(this.#frames.keys());
    if (!regions.some(({ writable }) => writable)) return;
    for (const { address, frame } of guest.aliases(this.#wanted).aliases) {
      if (this.#frames.get(frame)?.region.writable) {
        this.#trusted.set(address, frame);
      }
    }
  }

  *check(): Generator<Finding | Unreadable> {
    yield* this.#drift();
    yield* this.#writableAliases();
  }

  *#drift(): Generator<Finding | Unreadable> {
    for (const { region, walks: before, baselines } of this.#seen) {
      const walks = this.#guest.walks(region.start, region.size);
      if (walks === before) continue;
      for (let page = 0; page < walks.length; page++) {
        const baseline = baselines[page];
        if (baseline === undefined) {
          yield this.#unreadable(
            region.start + BigInt(page * PAGE_SIZE),
            "was not mapped when xkmon armed",
          );
          continue;
        }
        const walk = walks[page]!;
        if (walk.kind === "no-frame") {
          yield this.#unreadable(baseline.address, walk.kind);
          continue;
        }
        const finding = this.#compare(baseline, walk);
        if (finding !== undefined) yield finding;
      }
    }
  }

  #compare(
    baseline: Baseline,
    walk: Mapped | NotMapped,
  ): Finding | undefined {
    const { region, walk: before } = baseline;
    if (walk.kind !== "mapped") {
      return this.#finding(
        baseline,
        "unmapped",
        `page is not mapped any more (${walk.kind})`,
        walk.kind,
      );
    }
    if (walk.frame !== before.frame) {
      return this.#finding(
        baseline,
        "swapped",
        `page was swapped: frame 0x${before.frame.toString(16)} became 0x${
          walk.frame.toString(16)
        }`,
        `${walk.frame}`,
        lastEntries(before.steps, walk.steps),
      );
    }
    // Where whoever armed made it read-only, it may not have been before
    if (walk.writable && !region.writable) {
      return this.#finding(
        baseline,
        "writable",
        "page was made writable",
        "",
        lastEntries(before.steps, walk.steps),
      );
    }
    const step = walk.steps.findIndex((step, level) =>
      differs(step, before.steps[level])
    );
    if (step < 0 && walk.steps.length === before.steps.length) return undefined;
    const changed = walk.steps[Math.max(step, 0)]!;
    return this.#finding(
      baseline,
      "entry",
      `level ${changed.level} page-table entry was changed`,
      `level ${changed.level} ${changed.entry}`,
      [before.steps[Math.max(step, 0)]!.entry, changed.entry],
    );
  }

  *#writableAliases(): Generator<Finding | Unreadable> {
    const { aliases, complete } = this.#guest.aliases(this.#wanted);
    // One finding a page: a guest can map it thousands of times
    const found = new Map<Baseline, { first: bigint; count: number }>();
    for (const { address, frame, writable } of aliases) {
      const baseline = this.#frames.get(frame);
      // The protected address itself is judged above
      if (!writable || baseline === undefined) continue;
      if (address === baseline.address) continue;
      if (this.#trusted.get(address) === frame) continue;
      const { first, count } = found.get(baseline) ??
        { first: address, count: 0 };
      found.set(baseline, { first, count: count + 1 });
    }
    for (const [baseline, { first, count }] of found) {
      const at = `0x${first.toString(16)}`;
      yield this.#finding(
        baseline,
        "alias",
        count === 1
          ? `page has a writable second mapping at ${at}`
          : `page has ${count} other writable mappings, the first at ${at}`,
        `${first} ${count}`,
      );
    }
    // A mapping may hide where nobody looked
    const [anywhere] = this.#frames.values();
    if (!complete && anywhere !== undefined) {
      yield this.#unreadable(
        anywhere.address,
        "not every page table could be searched for other mappings",
      );
    }
  }

  remedy({ rule, drift, address }: Finding): Remedy | undefined {
    if (rule.id !== this.rule.id || drift === undefined) return undefined;
    const baseline = this.#frames.values().find((baseline) =>
      baseline.address === address
    );
    if (baseline === undefined) return undefined;
    return (guest) =>
      drift === "alias"
        ? this.#closeAliases(baseline, guest)
        : this.#putBack(baseline, guest);
  }

  #closeAliases({ address, walk }: Baseline, guest: WritableGuest): void {
    const { aliases } = this.#guest.aliases(new Set([walk.frame]));
    guest.writeEntries(
      aliases.filter((alias) =>
        alias.writable && alias.address !== address &&
        this.#trusted.get(alias.address) !== walk.frame
      ).map(({ step }) => ({ ...step, entry: step.entry & ~WRITABLE })),
    );
  }

  /** From the root down, each entry in the table to which the last one leads. */
  #putBack({ region, address, walk }: Baseline, guest: WritableGuest): void {
    const page = Number(address - region.start) / PAGE_SIZE;
    for (const [depth, before] of walk.steps.entries()) {
      const { steps } = this.#guest.walks(region.start, region.size)[page]!;
      const now = steps[depth];
      if (now?.table !== before.table) {
        throw new RangeError(
          `the level ${before.level} page table is another one`,
        );
      }
      const entry = before.level === 1 && !region.writable
        ? before.entry & ~WRITABLE
        : before.entry;
      if (differs(now, { ...before, entry })) {
        guest.writeEntries([{ ...before, entry }]);
      }
    }
  }

  #unreadable(address: bigint, reason: string): Unreadable {
    const what = this.#symbols.describe(address);
    return { rule: this.rule, what, address, reason };
  }

  #finding(
    { region, address }: Baseline,
    drift: Drift,
    summary: string,
    state: string,
    entries?: readonly [bigint, bigint],
  ): Finding {
    return {
      rule: this.rule,
      seen: "drift",
      drift,
      what: region.name,
      address,
      symbol: this.#symbols.describe(address),
      summary,
      ...(entries === undefined ? {} : {
        expected: littleEndian(entries[0]),
        found: littleEndian(entries[1]),
      }),
      key: `${this.rule.id} ${address.toString(16)} ${drift} ${state}`,
    };
  }
}

function differs(now: WalkStep, before: WalkStep | undefined): boolean {
  return before === undefined || now.table !== before.table ||
    now.index !== before.index ||
    ((now.entry ^ before.entry) & ~IGNORED) !== 0n;
}

function lastEntries(
  before: readonly WalkStep[],
  now: readonly WalkStep[],
): readonly [bigint, bigint] {
  return [before.at(-1)!.entry, now.at(-1)!.entry];
}
