import type { DomainGuest } from "./domain_guest.ts";
import type { CpuState } from "../guestos/cpu_state.ts";
import type { Domain } from "./domains.ts";
import type { EventLoop } from "./event_loop.ts";
import type { XenHost } from "./host.ts";
import { HvmGuest } from "./hvm_guest.ts";
import { type Journal, lockedFrames } from "./journal.ts";
import { PvGuest } from "./pv_guest.ts";

/**
 * Opens a running guest, of whatever type it is.
 *
 * @param journal Where changes to the guest are noted before they are made;
 *   without one the guest can only be looked at
 * @param loop Brings what the guest does meanwhile
 * @throws {NoSuchDomainError} If the guest is gone
 */
export function openGuest(
  host: XenHost,
  domain: Domain,
  journal?: Journal,
  loop?: EventLoop,
): DomainGuest<CpuState> {
  return domain.type === "PV"
    ? new PvGuest(
      host,
      domain,
      journal,
      journal === undefined ? lockedFrames(domain.id, domain.uuid) : [],
    )
    : new HvmGuest(host, domain, journal, loop);
}
