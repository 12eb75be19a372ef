import type { SymbolTable } from "../guestos/symbol_table.ts";
import { compareRegion } from "./differences.ts";
import { eachRegion } from "./each_region.ts";
import type { Detector, Finding, Remedy, Told } from "./finding.ts";
import type { Guest } from "./guest.ts";
import { isInRegion } from "./is_in_region.ts";
import { restoreRegion } from "./restore_region.ts";
import { rules } from "./rules.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/**
 * XK-002: data that never changes after boot, such as the system call table,
 * is what the trusted copy says. A pointer's new target is named.
 */
export class InvariantData implements Detector {
  readonly rule = rules.invariantData;
  #guest: Guest;
  #symbols: SymbolTable;
  #regions: readonly TrustedRegion[];

  constructor(
    guest: Guest,
    symbols: SymbolTable,
    regions: readonly TrustedRegion[],
  ) {
    this.#guest = guest;
    this.#symbols = symbols;
    this.#regions = regions.filter(({ kind }) => kind === "data");
  }

  check(): Iterable<Told> {
    return eachRegion(
      this.rule,
      this.#symbols,
      this.#regions,
      (region) =>
        compareRegion(
          this.#guest,
          this.#symbols,
          region,
          this.rule,
          "invariant data was changed",
        ).map((told) =>
          "reason" in told ? told : { ...told, summary: this.#describe(told) }
        ),
    );
  }

  remedy(finding: Finding): Remedy | undefined {
    const region = this.#regions.find((region) => isInRegion(finding, region));
    return region && restoreRegion(this.#guest, region);
  }

  #describe({ expected, found, summary }: Finding): string {
    if (expected?.length !== 8 || found?.length !== 8) return summary;
    const [before, after] = [expected, found].map((bytes) =>
      this.#symbols.describe(
        new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true),
      )
    );
    return `pointer was redirected from ${before} to ${after}`;
  }
}
