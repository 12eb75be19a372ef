import { XenError } from "./errors.ts";
import type { HypercallBuffer } from "./hypercall_buffer.ts";
import type { XenHost } from "./host.ts";
import { ordinaryFrames } from "./ordinary_frames.ts";
import { unlessGone } from "./unless_gone.ts";

/** Guest frames below it can be logged: 1 TiB, of which the log takes 32 MiB */
const MAX_FRAMES = 2 ** 28;
const BITS = 8;

/** Why Xen refuses to log what a guest writes */
const REASONS: Readonly<Record<string, string>> = {
  EINVAL: "somebody else has it logged, such as a live migration, or it has " +
    "a device of the host",
  EBUSY: "pages of it are gated",
};

/** What has to be had of a host. */
type LogHost = Pick<XenHost, "control" | "deviceModel" | "hypercalls">;

/**
 * Knows to which of some frames a PVH or HVM guest wrote since it began: Xen's
 * log-dirty mode, which is there for live migration.
 *
 * It is only ever read: clearing it would take from a live migration that has
 * begun meanwhile what it has to send again, and corrupt the guest on the other
 * host. So a frame that was written to counts as such for good.
 *
 * A migration turns the log off and on for itself, and clears it. Xen does not
 * tell, and says that nothing was written where there is no log. So one frame,
 * the witness, is marked as written by us: that it is not marked any more tells
 * that the log is not ours.
 */
export class DirtyLog implements Disposable {
  #host: LogHost;
  #domain: number;
  #witness: bigint;
  #bitmap: HypercallBuffer;
  /** One bit for each frame, as in the log */
  #watched: Uint8Array;
  /** Position of the first byte that is not zero there */
  #lowest: number;
  #frames: readonly bigint[];
  #written: readonly bigint[] = [];

  /**
   * @param domain Domain id
   * @param frames Guest frames, at least one
   * @param begins Gets the witness, for `endDirtyLog`, before anything is done
   * @throws {RangeError} If that cannot be logged; the message says why
   * @throws {XenError} If Xen refuses for another reason
   */
  constructor(
    host: LogHost,
    domain: number,
    frames: readonly bigint[],
    begins: (witness: bigint) => void,
  ) {
    this.#host = host;
    this.#domain = domain;
    this.#frames = frames;
    this.#witness = frames[0]!;
    const highest = frames.reduce((a, b) => a > b ? a : b);
    if (highest >= MAX_FRAMES) {
      throw new RangeError("its memory above 1 TiB is not logged");
    }
    const { control, deviceModel, hypercalls } = host;
    using stack = new DisposableStack();
    this.#bitmap = stack.use(hypercalls.buffer(bytesFor(highest)));
    this.#watched = new Uint8Array(this.#bitmap.bytes.length);
    for (const frame of frames) {
      const at = Number(frame);
      this.#watched[Math.floor(at / BITS)]! |= 1 << at % BITS;
    }
    this.#lowest = this.#watched.findIndex((bits) => bits !== 0);
    begins(this.#witness);
    start(host, domain);
    // It is ours as long as nobody knows of it but us
    stack.defer(() => unlessGone(() => control.endDirtyLog(domain)));
    deviceModel.markWritten(domain, this.#witness);
    if (!this.look()) throw new RangeError("Xen logs nothing of it");
    stack.move();
  }

  /**
   * Takes what the guest wrote so far; everything else answers from that.
   *
   * @returns Whether the log is still ours
   * @throws {XenError} If Xen refuses: ENOMEM if it could not log all
   */
  look(): boolean {
    const { bytes } = this.#bitmap;
    this.#host.control.readDirtyLog(this.#domain, this.#bitmap);
    const written: bigint[] = [];
    for (let at = this.#lowest; at < bytes.length; at++) {
      const bits = bytes[at]! & this.#watched[at]!;
      for (let bit = 0; bits >> bit !== 0; bit++) {
        if ((bits >> bit & 1) !== 0) written.push(BigInt(at * BITS + bit));
      }
    }
    this.#written = written;
    return isMarked(bytes, this.#witness);
  }

  /**
   * Has those of its frames count as written to in whose place others came: Xen
   * logs nothing of these, and has them be ordinary memory, as it has what was
   * written to.
   *
   * @throws {XenError} If Xen refuses
   */
  markReplaced(): void {
    const written = new Set(this.#written);
    const clean = this.#frames.filter((frame) => !written.has(frame));
    for (const frame of ordinaryFrames(this.#host, this.#domain, clean)) {
      this.#host.deviceModel.markWritten(this.#domain, frame);
    }
  }

  /** Whether a frame is one of those that it was made for. */
  watches(frame: bigint): boolean {
    return isMarked(this.#watched, frame);
  }

  /** Those of its frames that the guest has written to. */
  get written(): readonly bigint[] {
    return this.#written;
  }

  /** Gives the memory back. The log goes on: see `endDirtyLog`. */
  [Symbol.dispose](): void {
    this.#bitmap[Symbol.dispose]();
  }
}

function start({ control }: LogHost, domain: number): void {
  try {
    control.startDirtyLog(domain);
  } catch (error) {
    const reason = error instanceof XenError ? REASONS[error.code] : undefined;
    if (reason === undefined) throw error;
    throw new RangeError(`Xen does not log what it writes: ${reason}`, {
      cause: error,
    });
  }
}

function bytesFor(highest: bigint): number {
  return Math.floor(Number(highest) / BITS) + 1;
}

function isMarked(bitmap: Uint8Array, frame: bigint): boolean {
  const at = Number(frame);
  return ((bitmap[Math.floor(at / BITS)] ?? 0) & 1 << at % BITS) !== 0;
}

/**
 * Ends the log of a guest's writes if it is still the one that a `DirtyLog`
 * began, in this process or in one that has died. One that somebody else has
 * taken over stays: a live migration without it would leave out pages. It also
 * stays where it cannot be told; all that it costs is a fault for each page that
 * the guest writes to for the first time.
 *
 * @param witness What the `DirtyLog` told when it began
 * @returns Whether it was ended
 */
export function endDirtyLog(
  { control, hypercalls }: Pick<XenHost, "control" | "hypercalls">,
  domain: number,
  witness: bigint,
): boolean {
  if (witness >= MAX_FRAMES) return false;
  using bitmap = hypercalls.buffer(bytesFor(witness));
  try {
    control.readDirtyLog(domain, bitmap);
    if (!isMarked(bitmap.bytes, witness)) return false;
    control.endDirtyLog(domain);
    return true;
  } catch (error) {
    if (!(error instanceof XenError)) throw error;
    return false;
  }
}
