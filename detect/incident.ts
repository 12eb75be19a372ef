import type { Finding } from "./finding.ts";
import type { GuestDomain } from "./guest.ts";

/** What one look at a guest found, for those who keep evidence of it. */
export interface Incident {
  readonly time: Date;
  readonly domain: GuestDomain;
  readonly findings: readonly Finding[];
}
