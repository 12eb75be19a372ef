import { disclaimGate } from "./disclaim_gate.ts";
import { XenError } from "./errors.ts";
import { GateChannels } from "./gate_channels.ts";
import { GateRequests } from "./gate_requests.ts";
import type { GatedDomain } from "./gated_domain.ts";
import type { XenHost } from "./host.ts";
import { dropWaitingWrites, type PausedGuest } from "./drop_waiting_writes.ts";
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
  const { deviceModel } = host;
  unlessGone(() => {
    using requests = new GateRequests(host, id, server);
    using channels = takeChannels(host, domain, requests);
    if (channels === undefined) deviceModel.claimGated(id, server, false);
    else {
      try {
        dropWaitingWrites(requests, channels, domain.maxVcpus, paused);
      } finally {
        disclaimGate(host, domain, server, requests, channels);
      }
    }
  });
  unlessGone(() => deviceModel.destroyServer(id, server));
}

/** @returns Nothing if there are none yet, or nobody waits for a word on them */
function takeChannels(
  host: XenHost,
  { id, maxVcpus }: GatedDomain,
  requests: GateRequests,
): GateChannels | undefined {
  const vcpus = Array.from({ length: maxVcpus }, (_, vcpu) => vcpu);
  try {
    return new GateChannels(host, id, requests, vcpus);
  } catch (error) {
    if (!(error instanceof XenError) || error.code !== "EINVAL") throw error;
    const isWaiting = vcpus.some((vcpu) =>
      requests.waits(vcpu) || requests.isAnswered(vcpu)
    );
    if (!isWaiting) return undefined;
    throw new Error("the write gate's event channels are still in use", {
      cause: error,
    });
  }
}
