import type { Detector, Finding, PassResult, Remedy } from "./finding.ts";
import type { Guest, WritableGuest } from "./guest.ts";
import { tellFindings } from "./tell_findings.ts";

/**
 * Puts right what findings are about, or nothing of it: what cannot be put
 * right is evidence together with the rest.
 *
 * @param guest Stands still
 * @param look What of it is so now, and what cannot be told
 * @returns What was put right, or why the guest is not as it was
 */
export function restoreFindings(
  guest: Guest & WritableGuest,
  detectors: readonly Detector[],
  look: () => Pick<PassResult, "findings" | "unreadable">,
): readonly Finding[] | string {
  const { findings, unreadable } = look();
  if (findings.length === 0) return [];
  const remedies = findings.map((finding) => remedyOf(detectors, finding));
  const hopeless = findings.filter((_, at) => remedies[at] === undefined);
  if (hopeless.length > 0) {
    return `${tellFindings(hopeless)} cannot be restored`;
  }
  try {
    // Contents are reached through the page tables: those come first
    for (const isDrift of [true, false]) {
      findings.forEach((finding, at) => {
        if ((finding.seen === "drift") === isDrift) remedies[at]?.(guest);
      });
    }
  } catch (error) {
    guest.assertAlive();
    const reason = error instanceof Error ? error.message : error;
    return `restoring failed: ${reason}`;
  }
  const left = look();
  if (left.findings.length > 0) {
    return `after restoring, ${tellFindings(left.findings)} differed still`;
  }
  const known = new Set(unreadable.map(({ address }) => address));
  const lost = left.unreadable.find(({ address }) => !known.has(address));
  return lost === undefined
    ? findings
    : `after restoring, ${lost.what} is unreadable: ${lost.reason}`;
}

function remedyOf(
  detectors: readonly Detector[],
  finding: Finding,
): Remedy | undefined {
  for (const detector of detectors) {
    const remedy = detector.remedy?.(finding);
    if (remedy !== undefined) return remedy;
  }
  return undefined;
}
