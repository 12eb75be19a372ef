import type { Finding } from "./finding.ts";

/** Findings that are named */
const NAMED = 3;

/** Names findings in few words: `XK-002 shutdown_p, XK-013 CR0 of vCPU 0`. */
export function tellFindings(findings: readonly Finding[]): string {
  const names = findings.map(({ rule, symbol }) => `${rule.id} ${symbol}`);
  const more = names.length - NAMED;
  return names.slice(0, NAMED).join(", ") +
    (more > 0 ? ` and ${more} more` : "");
}
