import type { MappedRange } from "../guestos/memory.ts";
import type { CodeMap, OwnedCode } from "../guestos/profile.ts";
import type { SymbolTable } from "../guestos/symbol_table.ts";
import type { Detector, Finding, Told, Unreadable } from "./finding.ts";
import { type Guest, PAGE_SIZE } from "./guest.ts";
import { rules } from "./rules.ts";
import { suspectPages } from "./suspect_pages.ts";
import { tellTogether, tellUnreadable } from "./tell_unreadable.ts";

/** What a kernel fills executable memory with that it does not use: `int3` */
const TRAP = 0xcc;
/** Bytes that are compared at once */
const MAX_RUN = 2 << 20;
/** Findings of one look, and pages that it could not read */
const MAX_FINDINGS = 64;
/** Looks that must agree: memory is made executable before it has an owner */
const LOOKS = 3;

/**
 * How long code may take to be freed once it has no owner any more, and lists
 * to be readable, ms
 */
const GRACE = 60_000;

/** Consecutive pages, page aligned. */
interface Run {
  readonly start: bigint;
  /** Bytes */
  readonly size: number;
}

/**
 * XK-009 and XK-010: executable memory of the kernel half belongs to the
 * kernel, a module, a program or a trampoline that the kernel's own lists
 * know, and none of it is writable.
 */
export class ExecutableMemory implements Detector {
  readonly rule = rules.executableMemory;
  #guest: Guest;
  #symbols: SymbolTable;
  #map: CodeMap;
  /** By key, what was seen and at how many looks in a row */
  #seen = new Map<string, { finding: Finding; looks: number }>();
  /** Owners by place, and when they were on the lists last */
  #former = new Map<string, { owner: OwnedCode; seen: number }>();
  /** Lists that could not be read, and at how many looks in a row */
  #lists = new Map<string, number>();
  /** Since when not all lists could be read */
  #incompleteSince: number | undefined;
  readonly #standsStill: boolean;
  #trapped: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  /** @param standsStill Whether nothing can change between two looks */
  constructor(
    guest: Guest,
    symbols: SymbolTable,
    map: CodeMap,
    standsStill = false,
  ) {
    this.#guest = guest;
    this.#symbols = symbols;
    this.#map = map;
    this.#standsStill = standsStill;
  }

  get #looks(): number {
    return this.#standsStill ? 1 : LOOKS;
  }

  *check(full: boolean): Generator<Told> {
    const { start, end } = full ? this.#map.all : this.#map.usual;
    const { ranges, complete } = this.#guest.mapped(start, end, true);
    const all = [...ranges, ...this.#suspects(start, end)];
    let judged = this.#judge(all);
    if (judged.findings.length > 0) {
      // What came meanwhile is in younger lists
      this.#map.renew?.();
      judged = this.#judge(all);
    }
    const { findings, unreadable } = judged;
    const before = this.#seen;
    this.#seen = new Map(
      findings.map((finding) => [
        finding.key,
        { finding, looks: (before.get(finding.key)?.looks ?? 0) + 1 },
      ]),
    );
    const incomplete = this.#areListsIncomplete();
    for (const { finding, looks } of this.#seen.values()) {
      const mayBeOwned = incomplete && finding.rule === this.rule;
      if (looks >= this.#looks && !mayBeOwned) yield finding;
    }
    yield* this.#unreadableLists();
    yield* tellTogether(unreadable);
    if (!complete) {
      yield {
        rule: this.rule,
        what: "the kernel's page tables",
        address: start,
        reason: "not every page table could be searched",
      };
    }
  }

  /**
   * Whether an owner may be on a list that could not be read. An enemy can
   * break a list: after a while what has no owner is told all the same.
   */
  #areListsIncomplete(): boolean {
    const now = performance.now();
    if ((this.#map.unreadable?.() ?? []).length === 0) {
      this.#incompleteSince = undefined;
      return false;
    }
    this.#incompleteSince ??= now;
    return !this.#standsStill && now - this.#incompleteSince <= GRACE;
  }

  /** Lists that change while they are read are not told at once. */
  *#unreadableLists(): Generator<Unreadable> {
    const before = this.#lists;
    this.#lists = new Map(
      (this.#map.unreadable?.() ?? []).map((name) => [
        name,
        (before.get(name) ?? 0) + 1,
      ]),
    );
    for (const [name, looks] of this.#lists) {
      if (looks < this.#looks) continue;
      yield {
        rule: this.rule,
        what: name,
        reason: "the kernel's list of them cannot be read to its end",
      };
    }
  }

  /**
   * The owners, and those that were there a moment ago: code is taken off the
   * lists first, and freed when no processor can be in it any more.
   */
  #withFormer(owners: readonly OwnedCode[]): OwnedCode[] {
    const now = performance.now();
    for (const owner of owners) {
      this.#former.set(`${owner.start} ${owner.end}`, { owner, seen: now });
    }
    for (const [key, { seen }] of this.#former) {
      if (now - seen > GRACE) this.#former.delete(key);
    }
    return Array.from(this.#former.values(), ({ owner }) => owner);
  }

  /** Judges ranges by the lists of owners as they were read last. */
  #judge(ranges: readonly MappedRange[]): {
    findings: Finding[];
    unreadable: Unreadable[];
  } {
    const owners = this.#withFormer(this.#map.owners());
    const writers = owners.filter(({ writable }) => writable);
    const findings: Finding[] = [];
    const unreadable: Unreadable[] = [];
    for (const range of ranges) {
      const [writable] = range.writable ? unowned(range, writers) : [];
      if (writable !== undefined) {
        findings.push(
          this.#writable({
            ...range,
            ...writable,
            size: BigInt(writable.size),
          }),
        );
      }
      for (const run of unowned(range, owners)) {
        for (const page of this.#foreignPages(run, unreadable)) {
          if (findings.length >= MAX_FINDINGS) break;
          findings.push(this.#unowned(page));
        }
      }
    }
    return { findings, unreadable };
  }

  /** What an earlier look found where this one does not look. */
  *#suspects(start: bigint, end: bigint): Generator<MappedRange> {
    for (const { finding: { address } } of this.#seen.values()) {
      if (address >= start && address < end) continue;
      const page = BigInt(PAGE_SIZE);
      yield* this.#guest.mapped(address, address + page, true).ranges;
    }
  }

  /**
   * The pages of a run that are neither unused, now or since they were freed,
   * nor known to the profile by their looks.
   *
   * @param unreadable Gets the pages that cannot be read
   */
  *#foreignPages(
    { start, size }: Run,
    unreadable: Unreadable[],
  ): Generator<bigint> {
    let known = 0;
    const used = suspectPages(this.#guest, {
      start,
      trusted: this.#traps(size),
    });
    for (const position of used) {
      if (position < known) continue;
      if (unreadable.length >= MAX_FINDINGS) return;
      const page = start + BigInt(position * PAGE_SIZE);
      let bytes: Uint8Array;
      try {
        bytes = this.#guest.read(page, PAGE_SIZE);
      } catch (error) {
        unreadable.push(tellUnreadable(this.rule, this.#symbols, error));
        continue;
      }
      if (bytes.every((byte) => byte === TRAP)) continue;
      const pages = this.#map.pagesByLooks?.(bytes) ?? 0;
      if (pages === 0) yield page;
      known = position + pages;
    }
  }

  /** So many bytes of what fills unused memory. */
  #traps(size: number): Uint8Array<ArrayBuffer> {
    if (this.#trapped.length < size) {
      this.#trapped = this.#guest.trustedCopy(new Uint8Array(size).fill(TRAP));
    }
    return this.#trapped.subarray(0, size);
  }

  #writable({ start, size }: MappedRange): Finding {
    return {
      rule: rules.writableCode,
      seen: "drift",
      drift: "writable",
      what: "executable memory",
      address: start,
      symbol: this.#symbols.describe(start),
      summary: `memory is both writable and executable, ${
        size / BigInt(PAGE_SIZE)
      } pages from here`,
      key: `${rules.writableCode.id} ${start.toString(16)}`,
    };
  }

  #unowned(page: bigint): Finding {
    return {
      rule: this.rule,
      seen: "drift",
      drift: "entry",
      what: "executable memory",
      address: page,
      symbol: this.#symbols.describe(page),
      summary: "a page is executable and belongs to nobody",
      key: `${this.rule.id} ${page.toString(16)}`,
    };
  }
}

/** Pages of a range that no owner has a byte of, as few runs as there are. */
function* unowned(
  { start, size }: MappedRange,
  owners: readonly OwnedCode[],
): Generator<Run> {
  const inside = owners.filter((owner) =>
    owner.start < start + size && owner.end > start
  ).sort((a, b) => a.start < b.start ? -1 : Number(a.start > b.start));
  const page = BigInt(PAGE_SIZE);
  let at = start;
  for (const owner of [...inside, { start: start + size, end: start + size }]) {
    for (; at + page <= owner.start;) {
      const free = Number(owner.start - owner.start % page - at);
      const run = Math.min(free, MAX_RUN);
      yield { start: at, size: run };
      at += BigInt(run);
    }
    const end = owner.end + page - 1n;
    const next = end - end % page;
    if (next > at) at = next;
  }
}
