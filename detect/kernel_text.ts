import type { SymbolTable } from "../guestos/symbol_table.ts";
import type { PlannedWrite } from "../xen/protection.ts";
import { covers } from "./covers.ts";
import { compareRegion } from "./differences.ts";
import { eachRegion } from "./each_region.ts";
import { elfHash } from "./elf_hash.ts";
import type { Detector, Finding, Remedy, Told } from "./finding.ts";
import { type Guest, PAGE_SIZE } from "./guest.ts";
import { isInRegion } from "./is_in_region.ts";
import { LivingText } from "./living_text.ts";
import { restoreRegion } from "./restore_region.ts";
import { rules } from "./rules.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/**
 * XK-001: the kernel's code is what the trusted copy says. A full pass hashes
 * each page as well (ELFHash, as in the paper) and compares with the hashes
 * of the start: it does not rest on the copy in our own memory.
 */
export class KernelText implements Detector {
  readonly rule = rules.kernelText;
  #guest: Guest;
  #symbols: SymbolTable;
  #regions: readonly TrustedRegion[];
  #living = new Map<TrustedRegion, LivingText>();

  constructor(
    guest: Guest,
    symbols: SymbolTable,
    regions: readonly TrustedRegion[],
  ) {
    this.#guest = guest;
    this.#symbols = symbols;
    this.#regions = regions.filter(({ kind }) => kind === "code");
    for (const region of this.#regions) {
      if (region.living === undefined) continue;
      this.#living.set(region, new LivingText(guest, symbols, region));
    }
  }

  /** Places that the kernel was changing at the last look. */
  get changing(): number {
    return this.#living.values().reduce(
      (sum, { changing }) => sum + changing,
      0,
    );
  }

  check(full: boolean): Iterable<Told> {
    return eachRegion(this.rule, this.#symbols, this.#regions, (region) => {
      const living = this.#living.get(region);
      const told: Told[] = [
        ...compareRegion(
          this.#guest,
          this.#symbols,
          region,
          this.rule,
          "kernel code was changed",
          living,
        ),
        ...living?.instrumentation() ?? [],
      ];
      // What a kernel changes by itself has no hash of its own
      if (living !== undefined) return told;
      // Bytes say more than hashes; hashes find what bytes could not
      return full && told.length === 0 ? this.#compareHashes(region) : told;
    });
  }

  mayPatch({ address, data }: PlannedWrite): boolean {
    const region = this.#regions.find((region) => covers(region, address));
    if (region === undefined) return true;
    return this.#living.get(region)?.mayPatch(address, data) ?? false;
  }

  remedy(finding: Finding): Remedy | undefined {
    const region = this.#regions.find((region) => isInRegion(finding, region));
    if (region === undefined) return undefined;
    return restoreRegion(this.#guest, region, this.#living.get(region));
  }

  #compareHashes(region: TrustedRegion): Finding[] {
    const findings: Finding[] = [];
    region.pageHashes.forEach((expected, page) => {
      const address = region.start + BigInt(page * PAGE_SIZE);
      const found = elfHash(this.#guest.read(address, PAGE_SIZE));
      if (found === expected) return;
      findings.push({
        rule: this.rule,
        seen: "compare",
        what: region.name,
        address,
        symbol: this.#symbols.describe(address),
        summary: `ELFHash of the page was ${expected.toString(16)}, is ${
          found.toString(16)
        }`,
        key: `${this.rule.id} ${address.toString(16)} hash ${found}`,
      });
    });
    return findings;
  }
}
