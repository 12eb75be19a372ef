import type { Profile } from "../../guestos/profile.ts";
import type { Finding } from "../finding.ts";
import type { Incident } from "../incident.ts";
import { trustRegion } from "../trusted_region.ts";
import type { SyntheticGuest } from "./synthetic_guest.ts";

/** An incident in a guest, found by comparison and answered by a pause. */
export function incidentIn(
  guest: SyntheticGuest,
  profile: Profile,
  findings: readonly Finding[],
): Incident {
  return {
    time: new Date("2026-11-29T10:20:30.123Z"),
    domain: guest.domain,
    os: profile.os,
    findings,
    regions: profile.regions.map((region) => ({
      region: trustRegion(guest, region),
      rung: "poll",
    })),
    response: "dump",
    standsStill: true,
    staysPaused: true,
  };
}
