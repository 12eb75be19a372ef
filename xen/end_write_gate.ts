import { GateChannels } from "./gate_channels.ts";
import { GateRequests } from "./gate_requests.ts";
import type { XenHost } from "./host.ts";
import { unlessGone } from "./unless_gone.ts";
import type { GatedDomain } from "./write_gate.ts";

/**
 * Undoes the write gate of a process that has died: every page of it is
 * writable again, and who waits for an answer goes on.
 *
 * @param server Id of its ioreq server
 * @throws {XenError} If Xen refuses
 */
export function endWriteGate(
  host: XenHost,
  domain: GatedDomain,
  server: number,
): void {
  const { deviceModel } = host;
  const { id } = domain;
  // First none can come to wait, then nobody is left waiting
  unlessGone(() => deviceModel.claimGated(id, server, false));
  unlessGone(() => answerAll(host, domain, server));
  unlessGone(() => deviceModel.destroyServer(id, server));
}

/** The writes that were asked for are dropped. */
function answerAll(
  host: XenHost,
  { id, maxVcpus }: GatedDomain,
  server: number,
): void {
  using requests = new GateRequests(host, id, server);
  const waiting = Array.from({ length: maxVcpus }, (_, vcpu) => vcpu)
    .filter((vcpu) => requests.waits(vcpu));
  if (waiting.length === 0) return;
  using channels = new GateChannels(host, id, requests, waiting);
  for (const vcpu of waiting) {
    requests.answer(vcpu);
    channels.notify(vcpu);
  }
}
