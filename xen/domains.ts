import { constants } from "./constants.ts";
import type { XenControl } from "./control.ts";
import { NoSuchDomainError } from "./errors.ts";
import { domainFlags, domainInfo } from "./layouts.ts";
import type { XenStore } from "./store.ts";

const BATCH = 256;

/** Why a domain stopped: `SHUTDOWN_*` (public/sched.h). */
const SHUTDOWN_REASONS = [
  "poweroff",
  "reboot",
  "suspend",
  "crash",
  "watchdog",
  "soft-reset",
] as const;

/** Why a domain stopped. */
export type ShutdownReason = typeof SHUTDOWN_REASONS[number] | "unknown";

/** A domain as Xen and the store describe it. */
export interface Domain {
  readonly id: number;
  readonly name: string;
  /** The handle that survives a reboot, as a UUID */
  readonly uuid: string;
  readonly type: "PV" | "PVH or HVM";
  readonly paused: boolean;
  readonly dying: boolean;
  /** Set once the domain has shut down */
  readonly shutdown?: ShutdownReason;
  /** `running`, `blocked`, `paused`, `shutdown`, `dying` */
  readonly state: string;
  /** Pages that it has */
  readonly pages: number;
  /** Pages that it may have */
  readonly maxPages: number;
  /** Time that its virtual CPUs ran, ns */
  readonly cpuTime: bigint;
  readonly onlineVcpus: number;
  readonly maxVcpus: number;
}

function formatUuid(view: DataView): string {
  const bytes = new Uint8Array(
    view.buffer,
    view.byteOffset + domainInfo.handle,
    16,
  );
  return bytes.toHex().replace(
    /^(.{8})(.{4})(.{4})(.{4})(.{12})$/,
    "$1-$2-$3-$4-$5",
  );
}

function parse(view: DataView, name: string): Domain {
  const flags = view.getUint32(domainInfo.flags, true);
  const dying = (flags & domainFlags.dying) !== 0;
  const paused = (flags & domainFlags.paused) !== 0;
  const down = (flags & domainFlags.shutdown) !== 0;
  const reason = (flags >>> domainFlags.shutdownshift) &
    domainFlags.shutdownmask;
  const state = dying
    ? "dying"
    : down
    ? "shutdown"
    : paused
    ? "paused"
    : flags & domainFlags.blocked
    ? "blocked"
    : "running";
  return {
    id: view.getUint16(domainInfo.domain, true),
    // It comes from whoever ordered the guest, and goes to a terminal
    name: name.replace(/\p{Cc}/gu, "?"),
    uuid: formatUuid(view),
    type: flags & domainFlags.hvm_guest ? "PVH or HVM" : "PV",
    paused,
    dying,
    ...(down ? { shutdown: SHUTDOWN_REASONS[reason] ?? "unknown" } : {}),
    state,
    pages: Number(view.getBigUint64(domainInfo.tot_pages, true)),
    maxPages: Number(view.getBigUint64(domainInfo.max_pages, true)),
    cpuTime: view.getBigUint64(domainInfo.cpu_time, true),
    onlineVcpus: view.getUint32(domainInfo.nr_online_vcpus, true),
    maxVcpus: view.getUint32(domainInfo.max_vcpu_id, true) + 1,
  };
}

/** All domains, by id. */
export function listDomains(control: XenControl, store: XenStore): Domain[] {
  const domains: Domain[] = [];
  for (let first = 0; first < constants.DOMID_FIRST_RESERVED;) {
    const views = control.domainInfoList(first, BATCH);
    for (const view of views) {
      const id = view.getUint16(domainInfo.domain, true);
      domains.push(parse(view, store.read(`/local/domain/${id}/name`) ?? ""));
      first = id + 1;
    }
    if (views.length < BATCH) break;
  }
  return domains;
}

/**
 * One domain by its id.
 *
 * @returns undefined if there is none
 */
export function domainById(
  control: XenControl,
  store: XenStore,
  id: number,
): Domain | undefined {
  const [view] = control.domainInfoList(id, 1);
  // Xen answers with the next domain where there is none of this id
  if (view?.getUint16(domainInfo.domain, true) !== id) return undefined;
  return parse(view, store.read(`/local/domain/${id}/name`) ?? "");
}

/**
 * The domain that an operator names. A number is an id; a name wins over it.
 *
 * @throws {NoSuchDomainError} If there is none; the message lists the names
 *   that exist
 * @throws {RangeError} If several carry the name
 */
export function findDomain(
  control: XenControl,
  store: XenStore,
  nameOrId: string,
): Domain {
  const guests = listDomains(control, store).filter(({ id }) => id !== 0);
  const living = guests.filter(({ dying }) => !dying);
  const named = living.filter(({ name }) => name === nameOrId);
  if (named.length > 1) {
    throw new RangeError(
      `Several domains are called ${nameOrId}: name one by its id (${
        named.map(({ id }) => id).join(", ")
      })`,
    );
  }
  const found = named[0] ??
    living.find(({ id }) => /^\d+$/.test(nameOrId) && id === Number(nameOrId));
  if (found !== undefined) return found;
  const names = living.map(({ id, name }) => `${name} (${id})`);
  throw new NoSuchDomainError(
    `No domain is called ${nameOrId}; ` +
      (names.length ? `running: ${names.join(", ")}` : "no guest is running"),
  );
}
