import type { Profile } from "../guestos/profile.ts";
import { contentDetectors, stateDetectors } from "./detectors.ts";
import type { Detector, PassResult, Unreadable } from "./finding.ts";
import type { Guest } from "./guest.ts";
import { KernelMapping } from "./kernel_mapping.ts";
import { look } from "./look.ts";
import { rules } from "./rules.ts";
import { SettledCpus } from "./settled_cpus.ts";
import { tellBooting, tellUnreadable } from "./tell_unreadable.ts";
import { TrapTable } from "./trap_table.ts";
import { trustRegion } from "./trusted_region.ts";

/** Looks at a guest that runs: what two do not agree on is not told */
const LOOKS = 3;
/** From one look to the next while the kernel changes itself, ms */
const LOOK_INTERVAL = 250;

/**
 * Judges a guest by one full look: all that the kernel file tells by itself.
 * Drift of the page tables needs an earlier look and is not judged. What the
 * kernel is in the midst of changing is looked at again.
 *
 * @param profile Every region must have its trusted bytes
 * @param patience How long to look again, ms: 0 for a guest that stands still
 */
export async function scanGuest(
  guest: Guest,
  profile: Profile,
  patience: number,
): Promise<PassResult> {
  const { symbols } = profile;
  const regions = profile.regions.map((region) => trustRegion(guest, region));
  guest.refresh();
  const notJudged = handlersNotJudged(guest, profile);
  const content = contentDetectors(guest, profile, regions);
  const [text] = content;
  // Before patience ends they are judged, whatever the kernel says
  const settled = new SettledCpus(guest, profile.isOnline, patience / 2);
  const detectors: Detector[] = [
    ...content,
    ...(profile.protectable
      ? []
      : [new KernelMapping(guest, symbols, regions)]),
    ...(notJudged === undefined
      ? [
        new TrapTable(settled, profile),
        ...stateDetectors(guest, settled, profile, patience === 0),
      ]
      : []),
  ];
  const lookOnce = () => {
    guest.refresh("pass");
    profile.refresh?.();
    return look(guest, detectors, symbols, true);
  };
  const end = performance.now() + patience;
  let result = lookOnce();
  for (
    let looks = 1;
    patience > 0 && performance.now() < end &&
    (looks < LOOKS || text.changing > 0 || settled.waiting);
    looks++
  ) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_INTERVAL));
    result = lookOnce();
  }
  return {
    ...result,
    unreadable: [
      ...result.unreadable,
      ...(notJudged === undefined ? [] : [notJudged]),
      ...(text.changing === 0 ? [] : [tellChanging(text.changing)]),
    ],
  };
}

function tellChanging(places: number): Unreadable {
  return {
    rule: rules.kernelText,
    what: "kernel text",
    reason: `the kernel was changing ${places} places of it itself`,
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
