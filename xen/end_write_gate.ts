import { GateChannels } from "./gate_channels.ts";
import { GateRequests } from "./gate_requests.ts";
import type { XenHost } from "./host.ts";
import { openGate } from "./open_gate.ts";
import { unlessGone } from "./unless_gone.ts";
import type { GatedDomain } from "./gated_domain.ts";

/**
 * Undoes the write gate of a process that has died: every page of it is
 * writable again, and who waits for an answer goes on. The guest must have been
 * paused once for this.
 *
 * @param server Id of its ioreq server
 * @param isPaused Whether the guest had been paused before
 * @throws {XenError} If Xen refuses
 */
export function endWriteGate(
  host: XenHost,
  domain: GatedDomain,
  server: number,
  isPaused: boolean,
): void {
  const { deviceModel } = host;
  const { id, maxVcpus } = domain;
  unlessGone(() => {
    using requests = new GateRequests(host, id, server);
    const vcpus = Array(maxVcpus).keys();
    using channels = new GateChannels(host, id, requests, vcpus);
    openGate(host, domain, server, requests, channels, isPaused);
  });
  // Should another process have its channels still
  unlessGone(() => deviceModel.claimGated(id, server, false));
  unlessGone(() => deviceModel.destroyServer(id, server));
}
