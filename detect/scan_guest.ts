import type { Profile } from "../guestos/profile.ts";
import type { PassResult } from "./finding.ts";
import type { Guest } from "./guest.ts";
import { InvariantData } from "./invariant_data.ts";
import { KernelText } from "./kernel_text.ts";
import { look } from "./look.ts";
import { TrapTable } from "./trap_table.ts";
import { trustRegion } from "./trusted_region.ts";

/**
 * Judges a guest by one full look: all that the kernel file tells by itself.
 * Drift of the page tables needs an earlier look and is not judged.
 *
 * @param profile Every region must have its trusted bytes
 */
export function scanGuest(guest: Guest, profile: Profile): PassResult {
  const { symbols } = profile;
  const regions = profile.regions.map((region) => trustRegion(guest, region));
  guest.refresh();
  const detectors = [
    new KernelText(guest, symbols, regions),
    new InvariantData(guest, symbols, regions),
    ...(profile.booted(guest) ? [new TrapTable(guest, profile)] : []),
  ];
  return look(detectors, symbols, true);
}
