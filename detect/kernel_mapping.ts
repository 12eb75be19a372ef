import type { SymbolTable } from "../guestos/symbol_table.ts";
import type { Mapped, NotMapped, WalkStep } from "../xen/page_walk.ts";
import { covers } from "./covers.ts";
import type {
  Detector,
  Drift,
  Finding,
  Remedy,
  Unreadable,
} from "./finding.ts";
import { type Guest, PAGE_SIZE } from "./guest.ts";
import type { PageFrames } from "./moved_pages.ts";
import { rules } from "./rules.ts";
import type { TrustedRegion } from "./trusted_region.ts";
import { withFrame } from "./with_frame.ts";

/** Of a page-table entry */
const WRITABLE = 2n;
const NO_EXECUTE = 1n << 63n;

/** The entry of a large page, and bytes that it maps. */
interface LargePage {
  readonly entry: bigint;
  readonly size: number;
}

/** One region with the frames that it had when xkmon armed. */
interface Baseline {
  readonly region: TrustedRegion;
  /** By page; none for a page that was not mapped */
  readonly frames: readonly (bigint | undefined)[];
  /** By page, where it is a part of a large one */
  readonly large: ReadonlyMap<number, LargePage>;
  /** What was looked at last, and had nothing to tell */
  right?: readonly (Mapped | NotMapped)[];
}

/** Pages in a row about which the same is to be told. */
interface Run {
  readonly first: number;
  pages: number;
  readonly drift: Drift;
  readonly summary: string;
}

/**
 * XK-003 for a kernel that manages its own page tables: each page of a region
 * leads to the frame to which it led when xkmon armed and is not writable,
 * unless the kernel keeps it so; only code is executable. Tables may be split
 * and joined, flags of other kinds may change.
 */
export class KernelMapping implements Detector {
  readonly rule = rules.pageTables;
  #guest: Guest;
  #symbols: SymbolTable;
  #baselines: Baseline[];

  /**
   * The frames that the page tables name now are trusted.
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
    this.#baselines = regions.map((region) => {
      const walks = guest.walks(region.start, region.size);
      return {
        region,
        frames: walks.map((walk, page) =>
          walk.kind === "mapped"
            ? moved.get(region.start + BigInt(page * PAGE_SIZE)) ?? walk.frame
            : undefined
        ),
        large: largePages(walks),
      };
    });
  }

  *check(): Generator<Finding | Unreadable> {
    for (const baseline of this.#baselines) {
      const { region, frames } = baseline;
      const walks = this.#guest.walks(region.start, region.size);
      if (walks === baseline.right) continue;
      const told = this.#judge(region, frames, walks);
      baseline.right = told.length === 0 ? walks : undefined;
      yield* told;
    }
  }

  /**
   * A large page serves others as well: its entry permits what it did when
   * xkmon armed, if it was as large then and leads where it led, or is left
   * alone.
   */
  remedy({ rule, drift, address }: Finding): Remedy | undefined {
    if (rule.id !== this.rule.id || drift === undefined) return undefined;
    const baseline = this.#baselines.find(({ region }) =>
      covers(region, address)
    );
    if (baseline === undefined) return undefined;
    const { region, frames, large } = baseline;
    return (guest) => {
      const walks = this.#guest.walks(region.start, region.size);
      let last: WalkStep | undefined;
      for (const [page, walk] of walks.entries()) {
        const wrong = judgePage(region, frames[page], walk) !== undefined;
        if (!wrong || walk.kind !== "mapped") continue;
        const entry = isLarge(walk)
          ? rightLargeEntry(frames[page], large.get(page), walk)
          : rightEntry(region, frames[page], walk);
        const step = walk.steps.at(-1)!;
        const isNext = step.table !== last?.table || step.index !== last.index;
        if (entry === undefined || !isNext) continue;
        guest.writeEntries([{ ...step, entry }]);
        last = step;
      }
    };
  }

  #judge(
    region: TrustedRegion,
    frames: readonly (bigint | undefined)[],
    walks: readonly (Mapped | NotMapped)[],
  ): (Finding | Unreadable)[] {
    const runs: Run[] = [];
    for (const [page, walk] of walks.entries()) {
      const wrong = judgePage(region, frames[page], walk);
      if (wrong === undefined) continue;
      const last = runs.at(-1);
      const joins = last !== undefined && last.first + last.pages === page &&
        last.summary === wrong.summary;
      if (joins) last.pages++;
      else runs.push({ first: page, pages: 1, ...wrong });
    }
    return runs.map(({ first, pages, drift, summary }) => {
      const address = region.start + BigInt(first * PAGE_SIZE);
      const symbol = this.#symbols.describe(address);
      if (drift === "unmapped") {
        const reason = pages === 1 ? summary : `${summary}, ${pages} pages`;
        return { rule: this.rule, what: symbol, address, reason };
      }
      return {
        rule: this.rule,
        seen: "drift",
        drift,
        what: region.name,
        address,
        symbol,
        summary: pages === 1 ? summary : `${summary}, ${pages} pages from here`,
        key: `${this.rule.id} ${address.toString(16)} ${drift} ${pages}`,
      };
    });
  }
}

function largePages(
  walks: readonly (Mapped | NotMapped)[],
): ReadonlyMap<number, LargePage> {
  const large = new Map<number, LargePage>();
  for (const [page, walk] of walks.entries()) {
    if (walk.kind !== "mapped" || !isLarge(walk)) continue;
    const { entry } = walk.steps.at(-1)!;
    large.set(page, { entry, size: walk.pageSize });
  }
  return large;
}

function isLarge({ pageSize }: Mapped): boolean {
  return pageSize !== PAGE_SIZE;
}

/** The entry of a large page as it must be, if that is known. */
function rightLargeEntry(
  frame: bigint | undefined,
  before: LargePage | undefined,
  { steps, frame: now, pageSize }: Mapped,
): bigint | undefined {
  if (before?.size !== pageSize || now !== frame) return undefined;
  const permissions = WRITABLE | NO_EXECUTE;
  return steps.at(-1)!.entry & ~permissions | before.entry & permissions;
}

/** The last entry of a page as it must be. */
function rightEntry(
  { kind, writable = false }: TrustedRegion,
  frame: bigint | undefined,
  { steps, frame: now }: Mapped,
): bigint {
  return withFrame(steps.at(-1)!.entry, frame ?? now) &
      ~(writable ? 0n : WRITABLE) |
    (kind === "data" ? NO_EXECUTE : 0n);
}

function judgePage(
  { kind, writable = false }: TrustedRegion,
  frame: bigint | undefined,
  walk: Mapped | NotMapped,
): { drift: Drift; summary: string } | undefined {
  if (walk.kind !== "mapped") {
    return { drift: "unmapped", summary: `not mapped (${walk.kind})` };
  }
  if (frame !== undefined && walk.frame !== frame) {
    return { drift: "swapped", summary: "page leads to another frame" };
  }
  if (walk.writable && !writable) {
    return { drift: "writable", summary: "page is writable" };
  }
  if (kind === "data" && walk.executable) {
    return { drift: "entry", summary: "page of data is executable" };
  }
  return undefined;
}
