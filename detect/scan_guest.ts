import type { Profile } from "../guestos/profile.ts";
import type { PassResult, Unreadable } from "./finding.ts";
import type { Guest } from "./guest.ts";
import { InvariantData } from "./invariant_data.ts";
import { KernelText } from "./kernel_text.ts";
import { look } from "./look.ts";
import { rules } from "./rules.ts";
import { tellBooting, tellUnreadable } from "./tell_unreadable.ts";
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
  const notJudged = handlersNotJudged(guest, profile);
  const { findings, unreadable } = look(
    guest,
    [
      new KernelText(guest, symbols, regions),
      new InvariantData(guest, symbols, regions),
      ...(notJudged === undefined ? [new TrapTable(guest, profile)] : []),
    ],
    symbols,
    true,
  );
  return {
    findings,
    unreadable: notJudged === undefined
      ? unreadable
      : [...unreadable, notJudged],
  };
}

/** Why the handlers cannot be judged, if so. */
function handlersNotJudged(
  guest: Guest,
  profile: Profile,
): Unreadable | undefined {
  try {
    return profile.booted(guest) ? undefined : tellBooting(rules.trapTable);
  } catch (error) {
    return tellUnreadable(rules.trapTable, profile.symbols, error);
  }
}
