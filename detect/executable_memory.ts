import type { MappedRange } from "../guestos/memory.ts";
import type { CodeMap, OwnedCode } from "../guestos/profile.ts";
import type { SymbolTable } from "../guestos/symbol_table.ts";
import type { Detector, Finding, Told } from "./finding.ts";
import { type Guest, PAGE_SIZE } from "./guest.ts";
import { rules } from "./rules.ts";

/** What a kernel fills executable memory with that it does not use: `int3` */
const TRAP = 0xcc;
/** Findings of one look */
const MAX_FINDINGS = 64;
/** Looks that must agree: memory is made executable before it has an owner */
const LOOKS = 3;

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
  readonly #looks: number;

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
    this.#looks = standsStill ? 1 : LOOKS;
  }

  *check(full: boolean): Generator<Told> {
    const { start, end } = full ? this.#map.all : this.#map.usual;
    const { ranges, complete } = this.#guest.mapped(start, end, true);
    const owners = this.#map.owners();
    const findings: Finding[] = [];
    for (const range of [...ranges, ...this.#suspects(start, end)]) {
      if (range.writable) findings.push(this.#writable(range));
      let known = range.start;
      for (const page of unowned(range, owners)) {
        if (findings.length >= MAX_FINDINGS) break;
        if (page < known) continue;
        const pages = this.#pagesByLooks(page);
        if (pages === 0) findings.push(this.#unowned(page));
        known = page + BigInt(pages * PAGE_SIZE);
      }
    }
    const before = this.#seen;
    this.#seen = new Map(
      findings.map((finding) => [
        finding.key,
        { finding, looks: (before.get(finding.key)?.looks ?? 0) + 1 },
      ]),
    );
    for (const { finding, looks } of this.#seen.values()) {
      if (looks >= this.#looks) yield finding;
    }
    if (!complete) {
      yield {
        rule: this.rule,
        what: "the kernel's page tables",
        address: start,
        reason: "not every page table could be searched",
      };
    }
  }

  /** What an earlier look found where this one does not look. */
  *#suspects(start: bigint, end: bigint): Generator<MappedRange> {
    for (const { finding: { address } } of this.#seen.values()) {
      if (address >= start && address < end) continue;
      const page = BigInt(PAGE_SIZE);
      yield* this.#guest.mapped(address, address + page, true).ranges;
    }
  }

  /** Pages that are not used yet or not any more, or what the profile knows. */
  #pagesByLooks(page: bigint): number {
    const bytes = this.#guest.read(page, PAGE_SIZE);
    if (bytes.every((byte) => byte === TRAP)) return 1;
    return this.#map.pagesByLooks?.(bytes) ?? 0;
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

/** Pages of a range that no owner has a byte of. */
function* unowned(
  { start, size }: MappedRange,
  owners: readonly OwnedCode[],
): Generator<bigint> {
  const inside = owners.filter((owner) =>
    owner.start < start + size && owner.end > start
  ).sort((a, b) => a.start < b.start ? -1 : Number(a.start > b.start));
  const step = BigInt(PAGE_SIZE);
  let at = start;
  for (const owner of [...inside, { start: start + size, end: start + size }]) {
    for (; at + step <= owner.start; at += step) yield at;
    const end = owner.end + step - 1n;
    const next = end - end % step;
    if (next > at) at = next;
  }
}
