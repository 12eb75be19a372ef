import type { GateChannels } from "./gate_channels.ts";
import type { GateRequests } from "./gate_requests.ts";
import type { XenHost } from "./host.ts";
import type { GatedDomain } from "./gated_domain.ts";

/** How long it may take until no virtual CPU waits, ms */
const LIMIT = 500;
/** From one look at the virtual CPUs to the next, ms */
const INTERVAL = 0.2;

/**
 * Has a write gate's pages writable again, and drops the writes that wait. The
 * guest must have been paused once for this.
 *
 * A virtual CPU that has its answer makes its write anew: Xen 4.20 has it land
 * if the page is an ordinary one by then, and no release forgets the answer,
 * which may then be taken for that of another access. So the guest runs for the
 * moment that it takes until none of them waits.
 *
 * @param server Id of the gate's ioreq server
 * @param isPaused Whether the guest had been paused before
 * @throws {XenError} If Xen refuses
 */
export function openGate(
  host: XenHost,
  domain: GatedDomain,
  server: number,
  requests: GateRequests,
  channels: GateChannels,
  isPaused: boolean,
): void {
  const { id, maxVcpus } = domain;
  const vcpus = Array.from({ length: maxVcpus }, (_, vcpu) => vcpu);
  const answer = () => {
    for (const vcpu of vcpus.filter((vcpu) => requests.waits(vcpu))) {
      requests.answer(vcpu);
      channels.notify(vcpu);
    }
  };
  const isAnswered = () => vcpus.some((vcpu) => requests.isAnswered(vcpu));
  const waits = () => vcpus.some((vcpu) => requests.waits(vcpu));
  const end = performance.now() + LIMIT;
  const inTime = () => performance.now() < end;
  try {
    while ((waits() || isAnswered()) && inTime()) {
      answer();
      letRun(host, id, isPaused ? 2 : 1, () => {
        while (isAnswered() && inTime()) sleep(INTERVAL);
      });
    }
  } finally {
    host.deviceModel.claimGated(id, server, false);
    // One that writes without end, or cannot run
    answer();
  }
}

/** Undoes pauses of a guest until something has been done. */
function letRun(
  { control }: XenHost,
  domain: number,
  pauses: number,
  work: () => void,
): void {
  for (let pause = 0; pause < pauses; pause++) control.unpause(domain);
  try {
    work();
  } finally {
    for (let pause = 0; pause < pauses; pause++) control.pause(domain);
  }
}

/** @param time ms */
function sleep(time: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, time);
}
