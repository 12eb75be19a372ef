import type { Drift, Finding, Method } from "./finding.ts";
import { PAGE_SIZE } from "./guest.ts";

/** What a drift of the page tables says of a change behind it, first first. */
const METHODS: readonly [Drift, Method][] = [
  ["swapped", "swap"],
  ["writable", "remap"],
  ["alias", "alias"],
];

/**
 * Says of each changed content how it was written, from what the page tables
 * of the same page did.
 *
 * @param findings All findings of one look at the guest
 * @param sealed Whether every mapping was made read-only: then a change with no
 *   drift was made by Xen. Else it may have been an ordinary write
 */
export function attributeMethods(
  findings: readonly Finding[],
  sealed: boolean,
): Finding[] {
  const drifts = new Map<bigint, Set<Drift>>();
  for (const { drift, address } of findings) {
    if (drift === undefined) continue;
    const page = pageOf(address);
    drifts.set(page, (drifts.get(page) ?? new Set()).add(drift));
  }
  return findings.map((finding) => {
    if (finding.seen !== "compare") return finding;
    const seen = drifts.get(pageOf(finding.address));
    const method = METHODS.find(([drift]) => seen?.has(drift))?.[1] ??
      (sealed ? "hypercall" : undefined);
    return method === undefined ? finding : { ...finding, method };
  });
}

function pageOf(address: bigint): bigint {
  return address & ~BigInt(PAGE_SIZE - 1);
}
