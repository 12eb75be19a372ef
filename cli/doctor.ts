import { type Domain, findDomain, listDomains } from "../xen/domains.ts";
import type { XenControl } from "../xen/control.ts";
import { XenHost } from "../xen/host.ts";
import { defaultRungs } from "../xen/protection.ts";
import { type Outlook, rungOutlook } from "../xen/rung_outlook.ts";
import { saysGone } from "../xen/says_gone.ts";
import type { Options } from "./options.ts";
import { Output } from "./output.ts";

/** What becomes of a write, and when it is told */
const PROMISES: Readonly<Record<Outlook["means"], string>> = {
  trap: "writes are dropped, told at once",
  gate: "writes are dropped, those to data told at once; no live migration",
  lock: "writes to data fault, and Xen makes none for the guest",
  protect: "writes fault (kernels that never change their page tables)",
  dirty: "writes are found at the next pass, which compares only pages that " +
    "were written to; not with gate",
  poll: "writes are found at the next pass (--interval, 1 s)",
  registers: "changes that weaken the kernel are denied, told at once",
};

/**
 * Says what xkmon can do on this host, for one guest or for each, and why not
 * more. It changes nothing.
 *
 * @param dom Name or domain id; left out for all guests
 */
export function doctor(options: Options, dom: string | undefined): number {
  using host = new XenHost();
  const { control, store } = host;
  const domains = dom === undefined
    ? listDomains(control, store).filter(({ id }) => id !== 0)
    : [findDomain(control, store, dom)];
  const guests = domains.flatMap((domain) => {
    const outlook = outlookOf(control, domain, dom === undefined);
    return outlook === undefined ? [] : [{
      domain,
      outlook: outlook.map((found) => ({
        ...found,
        promise: PROMISES[found.means],
      })),
    }];
  });
  const xen = control.xenVersion();
  const { library } = control;
  new Output(options.json).write(
    options.json
      ? JSON.stringify({
        xen,
        libxenctrl: library,
        guests: guests.map(({ domain: { id, name, uuid, type }, outlook }) => ({
          domain: { id, name, uuid },
          type,
          outlook,
        })),
      })
      : [
        `Xen ${xen}, ${library}`,
        ...guests.flatMap(({ domain, outlook }) => describe(domain, outlook)),
        ...(guests.length === 0 ? ["no guests"] : []),
      ].join("\n"),
  );
  return 0;
}

/** Of many guests, one may be gone by now. */
function outlookOf(
  control: XenControl,
  domain: Domain,
  mayBeGone: boolean,
): Outlook[] | undefined {
  try {
    return rungOutlook(control, domain);
  } catch (error) {
    if (!mayBeGone || !saysGone(error)) throw error;
    return undefined;
  }
}

function describe(
  { name, id, type, maxVcpus }: Domain,
  outlook: readonly (Outlook & { readonly promise: string })[],
): string[] {
  const cpus = `${maxVcpus} virtual CPU${maxVcpus === 1 ? "" : "s"}`;
  return [
    `${name} (domain ${id}): ${type} guest, ${cpus}`,
    ...outlook.map(({ means, unavailable, promise }) =>
      `  ${means.padEnd(9)} ${
        unavailable === undefined
          ? `${permission(means)}: ${promise}`
          : `no: ${unavailable}`
      }`
    ),
  ];
}

function permission(means: Outlook["means"]): string {
  return means === "registers" || defaultRungs.includes(means)
    ? "yes"
    : "yes, if named by --rungs";
}
