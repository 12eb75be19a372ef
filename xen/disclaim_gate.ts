import { answerWaiting } from "./answer_waiting.ts";
import type { GateChannels } from "./gate_channels.ts";
import type { GateRequests } from "./gate_requests.ts";
import type { GatedDomain } from "./gated_domain.ts";
import type { XenHost } from "./host.ts";

/**
 * Has a write gate's pages writable again, whoever waits: on some releases their
 * writes land. Xen does it at this call only, not at the end of the server, and
 * wakes nobody then who waits.
 *
 * @param server Id of the gate's ioreq server
 * @throws {XenError} If Xen refuses
 */
export function disclaimGate(
  { deviceModel }: XenHost,
  { id, maxVcpus }: GatedDomain,
  server: number,
  requests: GateRequests,
  channels: GateChannels,
): void {
  try {
    deviceModel.claimGated(id, server, false);
  } finally {
    answerWaiting(requests, channels, maxVcpus);
  }
}
