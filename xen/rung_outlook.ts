import { constants } from "./constants.ts";
import type { XenControl } from "./control.ts";
import type { Domain } from "./domains.ts";
import { XenError } from "./errors.ts";
import { MAX_EVENT_VCPUS } from "./monitor_events.ts";
import type { Rung } from "./protection.ts";
import { MAX_GATE_VCPUS } from "./write_gate.ts";

/** What can keep a guest from something, as far as Xen tells before it is tried. */
export interface Outlook {
  /** A rung, or that registers are watched */
  readonly means: Rung | "registers";
  /** Why it cannot be used; left out if nothing speaks against it */
  readonly unavailable?: string;
}

/**
 * What can keep a guest from writing, strongest first, and from changing
 * registers. Nothing is changed for that, so Xen may still refuse.
 *
 * @throws {XenError} If Xen does not answer
 */
export function rungOutlook(control: XenControl, domain: Domain): Outlook[] {
  const isPv = domain.type === "PV";
  const ofHvm = isPv ? "of PVH and HVM guests only" : undefined;
  const events = ofHvm ?? eventsRefused(control, domain);
  const outlook: readonly [Outlook["means"], string | undefined][] = [
    ["trap", events ?? trapRefused(control, domain)],
    ["gate", ofHvm ?? tooManyVcpus(domain, MAX_GATE_VCPUS)],
    ["lock", isPv ? undefined : "of PV guests only"],
    ["protect", isPv ? undefined : "of PV guests only"],
    ["dirty", ofHvm],
    ["poll", undefined],
    ["registers", events],
  ];
  return outlook.map(([means, unavailable]) =>
    unavailable === undefined ? { means } : { means, unavailable }
  );
}

function tooManyVcpus({ maxVcpus }: Domain, most: number): string | undefined {
  return maxVcpus > most
    ? `of at most ${most} virtual CPUs, and it has ${maxVcpus}`
    : undefined;
}

function can(control: XenControl, domain: Domain, event: number): boolean {
  return (control.monitorCapabilities(domain.id) >>> event & 1) === 1;
}

function eventsRefused(
  control: XenControl,
  domain: Domain,
): string | undefined {
  const { XEN_DOMCTL_MONITOR_EVENT_WRITE_CTRLREG } = constants;
  try {
    return can(control, domain, XEN_DOMCTL_MONITOR_EVENT_WRITE_CTRLREG)
      ? tooManyVcpus(domain, MAX_EVENT_VCPUS)
      : "this Xen tells no events of it";
  } catch (error) {
    if (!(error instanceof XenError) || error.code === "ESRCH") throw error;
    return `this Xen tells no events (${error.code})`;
  }
}

/** Xen has steps where it has traps: on processors of Intel. */
function trapRefused(control: XenControl, domain: Domain): string | undefined {
  return can(control, domain, constants.XEN_DOMCTL_MONITOR_EVENT_SINGLESTEP)
    ? undefined
    : "on processors of Intel only";
}
