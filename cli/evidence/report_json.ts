import type { EvidencePage } from "../../detect/evidence/evidence.ts";
import { jsonText } from "../json_text.ts";
import type { Report } from "./report.ts";

const FORMAT = 1;

/** An incident for machines: all that its page shows, but its files. */
export function reportJson(report: Report): string {
  const { incident, evidence, ...rest } = report;
  const { regions, findings: _, ...facts } = incident;
  const { pages, ...examined } = evidence;
  return jsonText({
    format: FORMAT,
    ...facts,
    ...examined,
    pages: pages.map(describePage),
    regions: regions.map(({ region, rung }) => {
      const { name, kind, start, size, source, sha256 } = region;
      return { name, kind, rung, start, size, source, sha256 };
    }),
    ...rest,
  }, 2) + "\n";
}

/** Its bytes are in files of their own. */
function describePage({ address, trusted, found }: EvidencePage) {
  return {
    address,
    trusted: trusted !== undefined,
    ...("missing" in found ? { missing: found.missing } : { found: true }),
  };
}
