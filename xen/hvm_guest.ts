import type { HvmCpuState } from "../guestos/cpu_state.ts";
import { DomainGuest } from "./domain_guest.ts";
import { describeGatedWrite } from "./describe_gated_write.ts";
import { DirtyLog, endDirtyLog } from "./dirty_log.ts";
import type { Domain } from "./domains.ts";
import { endWriteGate } from "./end_write_gate.ts";
import { NoSuchDomainError, XenError } from "./errors.ts";
import type { EventLoop } from "./event_loop.ts";
import type { XenHost } from "./host.ts";
import type { EntryUpdate } from "./hypercalls.ts";
import { decodeHvmCpu } from "./hvm_cpu.ts";
import type { Journal, ProtectionNote } from "./journal.ts";
import { PAGE_SIZE } from "./layouts.ts";
import { isExecuted } from "./is_executed.ts";
import type { LookDepth } from "./look_depth.ts";
import { openTrap } from "./open_trap.ts";
import { ordinaryFrames } from "./ordinary_frames.ts";
import type { Levels } from "./page_walk.ts";
import { ProtectedEntries } from "./protected_entries.ts";
import type {
  GuestListener,
  InvariantRange,
  Protection,
  Rung,
  WeakenedListener,
} from "./protection.ts";
import { ReplacedPages } from "./replaced_pages.ts";
import { saysGone } from "./says_gone.ts";
import { unlessGone } from "./unless_gone.ts";
import { WriteGate } from "./write_gate.ts";
import { writeHvmFrame } from "./write_hvm_frame.ts";
import { endMonitorEvents, MonitorEvents } from "./monitor_events.ts";
import { RegisterWatch } from "./register_watch.ts";
import { WriteTrap } from "./write_trap.ts";

const CR4_LA57 = 1n << 12n;
/** How many times as long as it takes to map memory again it stays as it is, */
const RENEW_RATIO = 50;
/** and for how long at least and at most, ms */
const RENEW_LEAST = 1000;
const RENEW_MOST = 10_000;

/** Paging levels of a kernel, as its first virtual CPU has them. */
function levelsOf(host: XenHost, { id, name }: Domain): Levels {
  try {
    const { cr4 } = decodeHvmCpu(0, host.control.hvmCpu(id, 0));
    return (cr4 & CR4_LA57) === 0n ? 4 : 5;
  } catch (error) {
    if (!saysGone(error)) throw error;
    throw new NoSuchDomainError(`${name} is gone`, { cause: error });
  }
}

/** When to map memory again that was mapped from one time to another, ms. */
function renewalAfter(from: number, to: number): number {
  const wait = Math.max(RENEW_LEAST, RENEW_RATIO * (to - from));
  return from + Math.min(wait, RENEW_MOST);
}

/** Whether it is the processor that has no such thing. */
function isMissing(error: Error): boolean {
  return error instanceof XenError &&
    ["EINVAL", "EOPNOTSUPP"].includes(error.code);
}

/** A guest with hardware virtualization, PVH or HVM, with a 64-bit kernel. */
export class HvmGuest extends DomainGuest<HvmCpuState> {
  #loop: EventLoop | undefined;
  #events: MonitorEvents | undefined;
  /** Whether there are events because of us */
  #hasEvents = false;
  #watch: RegisterWatch | undefined;
  #trap: WriteTrap | undefined;
  #gate: WriteGate | undefined;
  /** Guest frames that the gate closes */
  #gated: readonly bigint[] = [];
  /** What keeps the guest from writing because of us */
  #trapped: readonly bigint[] = [];
  #server: number | undefined;
  #readOnly: readonly bigint[] = [];
  #dirtyLog: DirtyLog | undefined;
  /** Tells whether the log of its writes is ours, if there is one */
  #witness: bigint | undefined;
  #listener: WeakenedListener | undefined;
  /** When its memory is to be mapped again, ms */
  #renewAt = -Infinity;
  #replaced = new ReplacedPages();

  /**
   * @param journal Where changes to the guest are noted before they are made;
   *   without one the guest can only be looked at
   * @param loop Brings the guest's writes; without one none is stopped
   * @throws {RangeError} If the guest is a PV guest
   * @throws {NoSuchDomainError} If the guest is gone
   */
  constructor(
    host: XenHost,
    domain: Domain,
    journal?: Journal,
    loop?: EventLoop,
  ) {
    if (domain.type === "PV") {
      throw new RangeError(`${domain.name} is a PV guest`);
    }
    super(host, domain, levelsOf(host, domain), journal);
    this.#loop = loop;
    this.refresh();
    this.assertAlive();
  }

  /**
   * Reads the virtual CPUs anew, and what was written to since.
   *
   * @param depth From `pass` on, whether its memory is what it was as well, once
   *   a second; with `full`, all of it is mapped anew, and `compare` compares
   *   what was not written to as well
   * @throws {NoSuchDomainError} If the guest is gone
   */
  override refresh(depth: LookDepth = "cpus"): void {
    super.refresh();
    this.comparesAll = depth === "full";
    const now = performance.now();
    const isDue = depth === "full" ||
      depth === "pass" && now >= this.#renewAt;
    if (isDue) this.#findReplaced(depth === "full");
    const lost = this.#lookAtLog(isDue);
    if (isDue) this.#renewAt = renewalAfter(now, performance.now());
    if (lost === undefined) return;
    this.assertAlive();
    this.#forgetLog();
    this.#listener?.weakened("log", lost);
  }

  /**
   * A guest can have Xen put another page in the place of one, with the same
   * number: what is mapped is the old one still, and of what came nothing is
   * guarded or logged.
   */
  #findReplaced(full: boolean): void {
    if (full) this.forgetMappings();
    else this.renewMappings();
    const { control, deviceModel } = this.host;
    const { id } = this.domain;
    this.#replaced.guard(
      () => this.#trap?.replaced() ?? [],
      (frame) => control.setAccess(id, [frame], "r-x"),
    );
    for (
      const [frames, type] of [
        [this.#gated, "gated"],
        [this.#readOnly, "readOnly"],
      ] as const
    ) {
      this.#replaced.guard(
        () => ordinaryFrames(this.host, id, frames),
        (frame) => deviceModel.setMemoryType(id, [frame], type),
      );
    }
    const text = this.#replaced.tell(performance.now());
    if (text === undefined) return;
    this.assertAlive();
    this.#listener?.weakened("pages", text);
  }

  /** Why there is no log of its writes any more, if there was one. */
  #lookAtLog(markReplaced: boolean): string | undefined {
    try {
      if (markReplaced) this.#dirtyLog?.markReplaced();
      const isLost = this.#dirtyLog?.look() === false;
      return isLost
        ? "somebody else logs what the guest writes, such as a live migration"
        : undefined;
    } catch (error) {
      if (!(error instanceof XenError)) throw error;
      return error.message;
    }
  }

  /** Who has the log now still needs it. */
  #forgetLog(): void {
    this.writeLog = undefined;
    this.#dirtyLog?.[Symbol.dispose]();
    this.#dirtyLog = undefined;
    this.#witness = undefined;
    this.note();
  }

  protected override readCpu(vcpu: number): HvmCpuState {
    return decodeHvmCpu(vcpu, this.host.control.hvmCpu(this.domain.id, vcpu));
  }

  protected override writeFrame(
    frame: bigint,
    offset: number,
    bytes: Uint8Array,
  ): void {
    writeHvmFrame(this.host, this.domain.id, frame, offset, bytes);
  }

  /** Its page tables are memory of its own. */
  override writeEntries(updates: readonly EntryUpdate[]): void {
    for (const { table, index, entry } of updates) {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, entry, true);
      this.writeFrame(table, index * 8, bytes);
    }
  }

  /**
   * Has changes of registers asked for, and writes trapped or, where the
   * processor cannot, lets those to data go to a write gate and those to code be
   * discarded, which are not told. Of other ranges it may have writes logged.
   * What Xen refuses stays as it is.
   *
   * @throws {UnreadableMemoryError} If one page is not mapped
   */
  override protect(
    ranges: readonly InvariantRange[],
    listener: GuestListener,
  ): Protection {
    const rungs: Rung[] = ranges.map(() => "poll");
    if (this.#loop === undefined) {
      return { rungs, entries: 0, registers: false };
    }
    this.#listener = listener;
    const unwatched = this.#refusal(() => this.#watchRegisters(listener));
    let unstopped: string | undefined;
    let cannotTrap = false;
    // What was compared before the log began says nothing
    this.#endLog();
    for (const rung of ["trap", "gate", "dirty"] as const) {
      const bears = (range: InvariantRange, index: number) =>
        rungs[index] === "poll" && range.rungs.includes(rung);
      const wanted = ranges.filter(bears);
      if (wanted.length === 0) continue;
      const failed = this.#refusal(() => this.#put(wanted, rung, listener));
      if (failed === undefined) {
        ranges.forEach((range, index) => {
          if (bears(range, index)) rungs[index] = rung;
        });
        continue;
      }
      unstopped = failed.message;
      if (rung === "trap") cannotTrap = isMissing(failed);
      this.#end(rung);
    }
    this.#events?.rehearse();
    const registers = this.#watch !== undefined;
    // What one rung refuses another may have taken
    const isLeft = ranges.some(({ patched, rungs: borne }, index) =>
      rungs[index] === "poll" && borne.some((rung) => rung !== "poll") &&
      // What its kernel writes to bears no other: on AMD that is no failure
      !(patched && cannotTrap)
    );
    const refused = unwatched?.message ?? (isLeft ? unstopped : undefined);
    return {
      rungs,
      entries: 0,
      registers,
      ...(refused === undefined ? {} : { refused }),
    };
  }

  #put(
    ranges: readonly InvariantRange[],
    rung: "trap" | "gate" | "dirty",
    listener: GuestListener,
  ): void {
    switch (rung) {
      case "trap":
        return this.#trapWrites(ranges, listener);
      case "gate":
        return this.#gateWrites(ranges, listener);
      case "dirty":
        return this.#logWrites(ranges);
    }
  }

  #end(rung: "trap" | "gate" | "dirty"): void {
    switch (rung) {
      case "trap":
        return this.#endTrap();
      case "gate":
        return this.#endGate();
      case "dirty":
        return this.#forgetLog();
    }
  }

  /** Why it cannot be done, if it cannot. */
  #refusal(protect: () => void): Error | undefined {
    try {
      protect();
      return undefined;
    } catch (error) {
      const isRefusal = error instanceof RangeError ||
        error instanceof XenError && error.code !== "ESRCH";
      if (!isRefusal) throw error;
      return error;
    }
  }

  #openEvents(): MonitorEvents {
    if (this.#events === undefined) {
      this.#hasEvents = true;
      // `xc_monitor_enable` pauses the guest
      this.#events = this.notingPause(() =>
        new MonitorEvents(this.host, this.#loop!, this.domain)
      );
    }
    return this.#events;
  }

  #watchRegisters({ registers }: GuestListener): void {
    if (registers === undefined || this.#watch !== undefined) return;
    try {
      const events = this.#openEvents();
      const { host, domain } = this;
      this.#watch = new RegisterWatch(
        host,
        domain.id,
        events,
        registers,
        (...place) => this.readThrough(...place),
      );
    } catch (error) {
      if (this.#trap === undefined) this.#endEvents();
      throw error;
    }
  }

  #trapWrites(
    ranges: readonly InvariantRange[],
    listener: GuestListener,
  ): void {
    const events = this.#openEvents();
    const pages: bigint[] = [];
    const entries = new ProtectedEntries();
    const patched = new Map<bigint, bigint>();
    for (const range of ranges) {
      const { start, size } = range;
      for (const [page, frame] of this.framesOf([range]).entries()) {
        pages.push(frame);
        if (!range.patched) continue;
        patched.set(frame, start + BigInt(page * PAGE_SIZE));
      }
      if (range.settled) entries.add(start, this.walks(start, size));
    }
    // What is open again by then does no harm there
    this.#trapped = [
      ...new Set([...this.#trapped, ...pages, ...entries.tables]),
    ];
    this.note();
    const { host, domain } = this;
    this.#trap ??= new WriteTrap(host, domain.id, events, listener, this);
    this.#trap.close(pages, entries, patched);
  }

  #gateWrites(
    ranges: readonly InvariantRange[],
    listener: GuestListener,
  ): void {
    const frames = (runs: boolean) =>
      ranges.flatMap((range) =>
        this.framesOf([range]).filter((_, page) =>
          isExecuted(range, page) === runs
        )
      );
    const data = frames(false);
    const code = frames(true);
    if (data.length > 0) this.#close(data, listener);
    if (code.length > 0) this.#makeReadOnly(code);
  }

  #close(
    frames: readonly bigint[],
    listener: GuestListener,
  ): void {
    this.#gate ??= new WriteGate(
      this.host,
      this.#loop!,
      this.domain,
      (server) => {
        this.#server = server;
        this.note();
      },
      (write) => {
        const { control } = this.host;
        const described = describeGatedWrite(control, this.domain.id, write);
        if (described !== undefined) listener.stopped(described);
      },
    );
    // Xen refuses to close what is closed
    const closed = new Set(this.#gated);
    const fresh = frames.filter((frame) => !closed.has(frame));
    this.#gated = [...this.#gated, ...fresh];
    this.#gate.close(fresh);
  }

  #makeReadOnly(frames: readonly bigint[]): void {
    this.#readOnly = frames;
    this.note();
    const { deviceModel } = this.host;
    deviceModel.setMemoryType(this.domain.id, frames, "readOnly");
  }

  #logWrites(ranges: readonly InvariantRange[]): void {
    const { host, domain } = this;
    this.#dirtyLog = new DirtyLog(
      host,
      domain.id,
      this.framesOf(ranges),
      (witness) => {
        this.#witness = witness;
        this.note();
      },
    );
    this.writeLog = this.#dirtyLog;
  }

  /** Lets the guest write to every page again, and change every register. */
  override unprotect(): string | undefined {
    const pages = this.#trapped.length + this.#gated.length +
      this.#readOnly.length;
    const hadGate = this.#server !== undefined;
    const hadEvents = this.#hasEvents;
    const hadLog = this.#endLog();
    // In this order: who waits at the gate did not go on once events had ended
    this.#endGate();
    this.#endEvents();
    if (pages > 0) return `${pages} pages are writable again`;
    if (hadGate) return "its write gate is open";
    if (hadLog) return "its writes are logged no more";
    return hadEvents ? "its registers may change again" : undefined;
  }

  /** Ends the log of its writes; says whether there was one that was ours. */
  #endLog(): boolean {
    if (this.#witness === undefined) return false;
    const ended = endDirtyLog(this.host, this.domain.id, this.#witness);
    this.#forgetLog();
    return ended;
  }

  /** What Xen refused to trap is not trapped; registers stay watched. */
  #endTrap(): void {
    if (this.#watch === undefined) return this.#endEvents();
    openTrap(this.host, this.domain.id, this.#trapped);
    if (this.#trap !== undefined) this.#events?.remove(this.#trap);
    this.#trap?.ended();
    this.#trap = undefined;
    this.#trapped = [];
    this.note();
  }

  #endEvents(): void {
    openTrap(this.host, this.domain.id, this.#trapped);
    if (!this.#hasEvents) return;
    // Who waits is let go by `xc_monitor_enable`, which pauses the guest
    this.notingPause(() => {
      if (this.#events !== undefined) this.#events[Symbol.dispose]();
      else endMonitorEvents(this.host, this.domain);
      this.#events = undefined;
      this.#hasEvents = false;
      this.#watch = undefined;
      this.#trap = undefined;
      this.#trapped = [];
    });
  }

  #endGate(): void {
    const gate = this.#gate;
    const server = this.#server;
    if (server !== undefined) {
      unlessGone(() =>
        this.whilePaused((paused) => {
          if (gate !== undefined) gate.end(paused);
          else endWriteGate(this.host, this.domain, server, paused);
        })
      );
    }
    gate?.[Symbol.dispose]();
    this.#gate = undefined;
    this.#server = undefined;
    this.#gated = [];
    if (this.#readOnly.length > 0) {
      const { deviceModel } = this.host;
      deviceModel.setMemoryType(this.domain.id, this.#readOnly, "writable");
      this.#readOnly = [];
    }
    this.note();
  }

  /** Gives every mapping back, and events and gate of a guest that is gone. */
  override [Symbol.dispose](): void {
    using stack = new DisposableStack();
    // Backwards, and each of them whatever becomes of another
    stack.defer(() => super[Symbol.dispose]());
    stack.use(this.#dirtyLog);
    stack.use(this.#gate);
    stack.use(this.#events);
    this.writeLog = undefined;
    this.#dirtyLog = undefined;
    this.#gate = undefined;
    this.#events = undefined;
  }

  protected override get protection(): ProtectionNote {
    return {
      entries: [],
      ...(this.#hasEvents ? { events: true } : {}),
      ...(this.#trapped.length === 0 ? {} : { trapped: this.#trapped }),
      ...(this.#server === undefined ? {} : { server: this.#server }),
      ...(this.#readOnly.length === 0 ? {} : { readOnly: this.#readOnly }),
      ...(this.#witness === undefined ? {} : { dirty: this.#witness }),
    };
  }

  protected override adopt(
    { events, trapped = [], server, readOnly = [], dirty }: ProtectionNote,
  ): void {
    this.#witness = dirty;
    this.#hasEvents = events ?? false;
    this.#trapped = trapped;
    this.#server = server;
    this.#readOnly = readOnly;
  }
}
