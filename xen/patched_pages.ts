import { EventRate } from "./event_rate.ts";
import type { XenHost } from "./host.ts";
import type { GuestListener } from "./protection.ts";
import { type CopiedPart, readCopy } from "./read_copy.ts";
import type { ThroughTables } from "./read_store.ts";
import { readWaitingCpu } from "./read_waiting_cpu.ts";
import { unlessGone } from "./unless_gone.ts";
import type { MemoryEvent } from "./vm_event.ts";

/**
 * Changes of its own code in a second that a kernel makes behind the trap. One
 * that traces each of its functions makes a hundred thousand.
 */
const MAX_PATCHES = 50;
/** How long the code stays open then, ms */
const PATCHING_TIME = 10_000;
/** Addresses below are of processes, and of what a kernel maps for a moment */
const KERNEL_HALF = 1n << 63n;

/** A part of a write that is to be stopped. */
export type RoguePart = Pick<CopiedPart, "frame" | "offset" | "data">;

/**
 * Trapped pages of code that their own kernel writes to: Linux does by a mapping
 * in the lower half that is there for that moment. The listener judges what
 * comes that way, and nothing else may write.
 *
 * What may land is written here, in the guest's place, and the instruction
 * passes with nothing written: so it is what was judged that lands. While there
 * is too much of it the pages are open, for some seconds; what lands then the
 * next pass finds.
 */
export class PatchedPages {
  #host: XenHost;
  #domain: number;
  #listener: GuestListener;
  #memory: ThroughTables;
  /** Guest virtual address of each page, by its guest frame */
  #pages: ReadonlyMap<bigint, bigint> = new Map();
  #rate = new EventRate(MAX_PATCHES);
  /** Closes the pages again, if they are open */
  #closing: ReturnType<typeof setTimeout> | undefined;
  #wasOpen = false;

  /**
   * @param domain Domain id
   * @param listener Judges what is written
   * @param memory The guest's
   */
  constructor(
    host: XenHost,
    domain: number,
    listener: GuestListener,
    memory: ThroughTables,
  ) {
    this.#host = host;
    this.#domain = domain;
    this.#listener = listener;
    this.#memory = memory;
  }

  /**
   * Takes note of the pages, which have been closed.
   *
   * @param pages Guest virtual address of each, by its guest frame; in place of
   *   those of an earlier call
   */
  closed(pages: ReadonlyMap<bigint, bigint>): void {
    this.ended();
    this.#pages = pages;
  }

  /** Whether a guest frame is one of the pages. */
  has(frame: bigint): boolean {
    return this.#pages.has(frame);
  }

  /**
   * Judges a write to one of the pages.
   *
   * @returns The answer, or what is to be stopped
   */
  judge(event: MemoryEvent): "go on" | "discard" | RoguePart | undefined {
    if (this.#closing !== undefined) return "go on";
    if ((event.address ?? KERNEL_HALF) >= KERNEL_HALF) return undefined;
    const parts = this.#partsOf(event);
    if (parts === undefined) {
      return this.#open("the kernel's way to write cannot be understood");
    }
    for (const { frame, offset, data } of parts) {
      const address = this.#pages.get(frame)! + BigInt(offset);
      const may = this.#listener.mayPatch({ address, data });
      if (!may) return { frame, offset, data };
    }
    if (!this.#rate.next()) {
      return this.#open(
        `it was changed more than ${MAX_PATCHES} times in a second`,
      );
    }
    try {
      for (const part of parts) this.#write(part);
    } catch (error) {
      // The guest gave the frame away in that moment, or is gone
      if (!(error instanceof RangeError)) throw error;
      return "go on";
    }
    return "discard";
  }

  /** What is written, if it can be told and all of it goes to such pages. */
  #partsOf(
    { vcpu, frame, offset, address, inWalk }: MemoryEvent,
  ): readonly CopiedPart[] | undefined {
    if (inWalk) return undefined;
    const { control } = this.#host;
    const view = readWaitingCpu(control, this.#domain, vcpu);
    if (view === undefined) return undefined;
    const parts = readCopy(view, this.#memory);
    const isThis = parts?.some((part) =>
      part.frame === frame && part.offset === offset && part.address === address
    );
    const isPatch = parts?.every((part) => this.#pages.has(part.frame));
    return isThis && isPatch ? parts : undefined;
  }

  #write({ frame, offset, data }: CopiedPart): void {
    using mapping = this.#host.frames.mapWritable(this.#domain, [frame]);
    new Uint8Array(mapping.bytes).set(data, offset);
  }

  #open(reason: string): "go on" {
    this.#setAccess("rwx");
    this.#closing = setTimeout(() => {
      this.ended();
      this.#setAccess("r-x");
    }, PATCHING_TIME);
    if (!this.#wasOpen) this.#listener.weakened("text", reason);
    this.#wasOpen = true;
    return "go on";
  }

  #setAccess(access: "rwx" | "r-x"): void {
    const { control } = this.#host;
    unlessGone(() =>
      control.setAccess(this.#domain, [...this.#pages.keys()], access)
    );
  }

  /** The pages stay as they are from now on. */
  ended(): void {
    clearTimeout(this.#closing);
    this.#closing = undefined;
  }
}
