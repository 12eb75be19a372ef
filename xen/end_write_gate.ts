import { XenError } from "./errors.ts";
import { GateChannels } from "./gate_channels.ts";
import { GateRequests } from "./gate_requests.ts";
import type { GatedDomain } from "./gated_domain.ts";
import type { XenHost } from "./host.ts";
import { openGate, type PausedGuest } from "./open_gate.ts";
import { unlessGone } from "./unless_gone.ts";

/**
 * Undoes the write gate of a process that has died: every page of it is
 * writable again, and who waits for an answer goes on.
 *
 * @param server Id of its ioreq server
 * @param paused The guest, which must be paused
 * @throws {Error} If the process has not died altogether
 * @throws {XenError} If Xen refuses
 */
export function endWriteGate(
  host: XenHost,
  domain: GatedDomain,
  server: number,
  paused: PausedGuest,
): void {
  const { id } = domain;
  unlessGone(() => {
    using requests = new GateRequests(host, id, server);
    using channels = takeChannels(host, domain, requests);
    openGate(host, domain, server, requests, channels, paused);
  });
  unlessGone(() => host.deviceModel.destroyServer(id, server));
}

function takeChannels(
  host: XenHost,
  { id, maxVcpus }: GatedDomain,
  requests: GateRequests,
): GateChannels {
  try {
    return new GateChannels(host, id, requests, Array(maxVcpus).keys());
  } catch (error) {
    if (!(error instanceof XenError) || error.code !== "EINVAL") throw error;
    // Without them nobody could be woken
    throw new Error("the write gate's event channels are still in use", {
      cause: error,
    });
  }
}
