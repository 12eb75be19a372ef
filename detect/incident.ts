import type { Rung } from "../xen/protection.ts";
import type { Finding } from "./finding.ts";
import type { GuestDomain } from "./guest.ts";
import type { TrustedRegion } from "./trusted_region.ts";

/** A region, and how the guest is kept from writing to it. */
export interface IncidentRegion {
  readonly region: TrustedRegion;
  readonly rung: Rung;
}

/** What was found at one time, and what is done about it. */
export interface Incident {
  readonly time: Date;
  readonly domain: GuestDomain;
  /** Name and version of the guest's system */
  readonly os: string;
  /** At least one, the most important first */
  readonly findings: readonly Finding[];
  readonly regions: readonly IncidentRegion[];
  /** What is done about it, as the operator names it: `dump+reboot` */
  readonly response: string;
  /** Whether the guest is paused while the evidence is being kept */
  readonly standsStill: boolean;
  /**
   * Whether the guest is to stay paused when the evidence has been kept; it also
   * does if the response fails
   */
  readonly staysPaused: boolean;
}
