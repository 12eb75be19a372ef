import type { GateChannels } from "./gate_channels.ts";
import type { GateRequests } from "./gate_requests.ts";

/**
 * Answers the virtual CPUs that wait at a write gate: what they wrote is
 * dropped.
 *
 * @returns Those that have not taken their answer yet
 */
export function answerWaiting(
  requests: GateRequests,
  channels: GateChannels,
  maxVcpus: number,
): number[] {
  const answered: number[] = [];
  for (let vcpu = 0; vcpu < maxVcpus; vcpu++) {
    if (requests.waits(vcpu)) requests.answer(vcpu);
    if (!requests.isAnswered(vcpu)) continue;
    // Who gave the answer may have been killed before this
    channels.notify(vcpu);
    answered.push(vcpu);
  }
  return answered;
}
