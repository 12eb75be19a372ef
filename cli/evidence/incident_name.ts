import type { Incident } from "../../detect/incident.ts";

/** Characters of a guest's name that are kept */
const MAX_NAME = 64;

/**
 * The name of an incident's folder: guest, time and first rule. Whoever named
 * the guest gets no path of his own.
 */
export function incidentName({ domain, time, findings }: Incident): string {
  const name = domain.name.slice(0, MAX_NAME)
    .replace(/[^A-Za-z0-9._-]/g, "_")
    .replace(/^[.-]/, "_");
  const when = time.toISOString().replaceAll(":", "-");
  const rule = findings[0]?.rule.id ?? "none";
  return `${name || "_"}-${domain.id}-${when}-${rule}`;
}
