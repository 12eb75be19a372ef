import { answerWaiting } from "./answer_waiting.ts";
import type { GateChannels } from "./gate_channels.ts";
import type { GateRequests } from "./gate_requests.ts";

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
 * Drops the writes that wait at a write gate, as far as the guest's virtual CPUs
 * take their answers in time: before its pages are given back.
 *
 * One that has its answer makes its write anew: Xen 4.20 has it land if the page
 * is an ordinary one by then, and no release forgets the answer, which may then
 * be taken for that of another access. So the guest runs for the moment that it
 * takes until none of them waits. One may write without end, or not run.
 *
 * @param paused The guest, which must be paused
 * @throws {XenError} If Xen refuses
 */
export function dropWaitingWrites(
  requests: GateRequests,
  channels: GateChannels,
  maxVcpus: number,
  paused: PausedGuest,
): void {
  const end = performance.now() + LIMIT;
  const inTime = () => performance.now() < end;
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
}

/** @param time ms */
function sleep(time: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, time);
}
