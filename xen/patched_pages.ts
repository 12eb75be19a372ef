import { XenError } from "./errors.ts";
import { EventRate } from "./event_rate.ts";
import type { XenHost } from "./host.ts";
import { openTrap } from "./open_trap.ts";
import type { GuestListener } from "./protection.ts";
import { type CopiedPart, readCopy } from "./read_copy.ts";
import type { ThroughTables } from "./read_store.ts";
import { readWaitingCpu } from "./read_waiting_cpu.ts";
import { saysGone } from "./says_gone.ts";
import type { MemoryEvent } from "./vm_event.ts";
import { writeHvmFrame } from "./write_hvm_frame.ts";

/**
 * Changes of its own code in a second that a kernel makes behind the trap, and
 * for how long it waits for them, ms. One that traces each of its functions makes
 * a hundred thousand.
 */
const MAX_PATCHES = 50;
const MAX_WAIT = 500;
/** How long the code stays open then, ms */
const PATCHING_TIME = 10_000;
/** Addresses below are of processes, and of what a kernel maps for a moment */
const KERNEL_HALF = 1n << 63n;

/** A part of a write that is to be stopped. */
export type RoguePart = Pick<CopiedPart, "frame" | "offset" | "data">;

/**
 * Trapped pages of code that their own kernel writes to: Linux does by a mapping
 * in the lower half that is there for that moment. The listener judges what
 * comes by one, and nothing else may write.
 *
 * What may land is written here, in the guest's place, and the instruction
 * passes with nothing written: so it is what was judged that lands. While there
 * is too much of it the pages are open, for some seconds, as they are when an
 * instruction is none of those by which kernels are known to do it: a kernel
 * that finds that nothing was written ends. What lands then the next pass finds.
 */
export class PatchedPages {
  #host: XenHost;
  #domain: number;
  #listener: GuestListener;
  #memory: ThroughTables;
  /** Guest virtual address of each page, by its guest frame */
  #pages: ReadonlyMap<bigint, bigint> = new Map();
  #rate = new EventRate(MAX_PATCHES);
  /** Since when, and for how long the guest waited since, ms */
  #waited = { since: -Infinity, time: 0 };
  /** Closes the pages again, if they are open */
  #closing: ReturnType<typeof setTimeout> | undefined;
  #wasBusy = false;

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

  /** Whether the kernel may write to all of them for a while. */
  get areOpen(): boolean {
    return this.#closing !== undefined;
  }

  /**
   * Judges a write to one of the pages.
   *
   * @returns The answer, or what is to be stopped
   */
  judge(event: MemoryEvent): "go on" | "discard" | RoguePart | undefined {
    if (this.areOpen) return "go on";
    const { ip, inWalk, address = KERNEL_HALF } = event;
    // No kernel has its page tables there
    if (address >= KERNEL_HALF || inWalk) return undefined;
    const begin = performance.now();
    const parts = this.#partsOf(event);
    if (parts === undefined) {
      return this.#open(
        `the instruction at 0x${ip.toString(16)} writes in a way that is not ` +
          "known of kernels",
      );
    }
    if (parts.length === 0) return undefined;
    for (const { frame, offset, data } of parts) {
      const address = this.#pages.get(frame)! + BigInt(offset);
      const may = this.#listener.mayPatch({ address, data });
      if (!may) return { frame, offset, data };
    }
    if (!this.#rate.next() || this.#waits(performance.now() - begin)) {
      return this.#openForMuch();
    }
    try {
      for (const { frame, offset, data } of parts) {
        writeHvmFrame(this.#host, this.#domain, frame, offset, data);
      }
    } catch (error) {
      // The guest gave the frame away in that moment, or is gone
      if (!(error instanceof RangeError)) throw error;
      return "go on";
    }
    return "discard";
  }

  /** Whether the guest waited for too long within a second. */
  #waits(time: number): boolean {
    const now = performance.now();
    if (now - this.#waited.since > 1000) this.#waited = { since: now, time: 0 };
    this.#waited.time += time;
    return this.#waited.time > MAX_WAIT;
  }

  /**
   * What is written: nothing if that is none of a kernel's instructions, and
   * none if it is not all for such pages, or the processor writes elsewhere.
   */
  #partsOf(
    { vcpu, frame, offset, address }: MemoryEvent,
  ): readonly CopiedPart[] | undefined {
    const { control } = this.#host;
    const view = readWaitingCpu(control, this.#domain, vcpu);
    if (view === undefined) return [];
    const parts = readCopy(view, this.#memory);
    if (parts === undefined) return undefined;
    const isThis = parts.some((part) =>
      part.frame === frame && part.offset === offset && part.address === address
    );
    const isPatch = parts.every((part) => this.#pages.has(part.frame));
    return isThis && isPatch ? parts : [];
  }

  /** A kernel that does so does so again and again. */
  #openForMuch(): "go on" {
    const reason =
      `it changed more than ${MAX_PATCHES} times in a second, or ` +
      `had the guest wait for ${MAX_WAIT} ms; whenever that is so`;
    const told = this.#wasBusy ? undefined : reason;
    this.#wasBusy = true;
    return this.#open(told);
  }

  /** @param reason Left out if it is not to be told */
  #open(reason?: string): "go on" {
    if (reason !== undefined) {
      const text = `${reason}, for ${PATCHING_TIME / 1000} s`;
      this.#listener.weakened("text", text);
    }
    openTrap(this.#host, this.#domain, [...this.#pages.keys()]);
    this.#closing = setTimeout(() => this.#close(), PATCHING_TIME);
    return "go on";
  }

  #close(): void {
    this.ended();
    try {
      const { control } = this.#host;
      control.setAccess(this.#domain, [...this.#pages.keys()], "r-x");
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      if (saysGone(error)) return;
      this.#listener.weakened("text", error.message);
    }
  }

  /** The pages stay as they are from now on. */
  ended(): void {
    clearTimeout(this.#closing);
    this.#closing = undefined;
  }
}
