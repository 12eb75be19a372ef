import { answerWaiting } from "./answer_waiting.ts";
import { disclaimGate } from "./disclaim_gate.ts";
import type { GateChannels } from "./gate_channels.ts";
import type { GateRequests } from "./gate_requests.ts";
import type { GatedDomain } from "./gated_domain.ts";
import type { XenHost } from "./host.ts";

/** How long it may take until no virtual CPU waits, ms */
const LIMIT = 500;
/** From one look at the virtual CPUs to the next, ms */
const INTERVAL = 0.2;
/** Answers that a guest gets which has to stand still: one store may need two */
const MAX_ROUNDS = 4;

/** A guest that is paused for a while. */
export interface PausedGuest {
  /** Whether it had been paused before */
  readonly wasPaused: boolean;
  /** Lets it run meanwhile, whoever has it paused. */
  letRun(work: () => void): void;
}

/**
 * Has a write gate's pages writable again, and drops the writes that wait.
 *
 * A virtual CPU that has its answer makes its write anew: Xen 4.20 has it land
 * if the page is an ordinary one by then, and no release forgets the answer,
 * which may then be taken for that of another access. So the guest runs for the
 * moment that it takes until none of them waits.
 *
 * @param server Id of the gate's ioreq server
 * @param paused The guest, which must be paused
 * @throws {XenError} If Xen refuses
 */
export function openGate(
  host: XenHost,
  domain: GatedDomain,
  server: number,
  requests: GateRequests,
  channels: GateChannels,
  paused: PausedGuest,
): void {
  const { maxVcpus } = domain;
  const end = performance.now() + LIMIT;
  const inTime = () => performance.now() < end;
  try {
    const rounds = paused.wasPaused ? MAX_ROUNDS : Infinity;
    for (let round = 0; round < rounds && inTime(); round++) {
      const answered = answerWaiting(requests, channels, maxVcpus);
      if (answered.length === 0) break;
      paused.letRun(() => {
        // One that waits anew has taken its answer
        while (answered.some((vcpu) => requests.isAnswered(vcpu)) && inTime()) {
          sleep(INTERVAL);
        }
      });
    }
  } finally {
    // One may write without end, or not run
    disclaimGate(host, domain, server, requests, channels);
  }
}

/** @param time ms */
function sleep(time: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, time);
}
