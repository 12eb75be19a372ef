import { constants } from "./constants.ts";
import { EventRate } from "./event_rate.ts";
import type { XenHost } from "./host.ts";
import { markEntry } from "./mark_entry.ts";
import type { EventListener, MonitorEvents } from "./monitor_events.ts";
import type { GuestListener, StoppedWrite } from "./protection.ts";
import { openTrap } from "./open_trap.ts";
import { PatchedPages } from "./patched_pages.ts";
import { ProtectedEntries } from "./protected_entries.ts";
import { readStore, type ThroughTables } from "./read_store.ts";
import { readWaitingCpu } from "./read_waiting_cpu.ts";
import { unlessGone } from "./unless_gone.ts";
import type { MemoryEvent, VmAnswer, VmEvent } from "./vm_event.ts";

/** How long an instruction may take until its write is told all the same, ms */
const STEP_LIMIT = 50;
/** Writes of one virtual CPU that are kept until it has finished with them */
const MAX_KEPT = 64;
/**
 * Uses of page tables in a second that change no entry on the way to a protected
 * page. A kernel that has such tables in use all the time would wait each time;
 * so would one whose processor takes every walk for a write, as it does while
 * Xen logs which pages are written to.
 */
const MAX_TABLE_USES = 50;

/** What a virtual CPU wrote that finishes with it before it is told. */
interface Step {
  readonly writes: StoppedWrite[];
  readonly timer: ReturnType<typeof setTimeout>;
}

/**
 * Keeps a PVH or HVM guest from writing to pages of its own, and tells what it
 * tried. It can read and execute them. Processors of Intel only.
 *
 * The pages' entries in the tables that map guest frames (EPT) are read-only;
 * Xen sends an event for each write (`mem_access`), and this answers that it is
 * to be emulated with nothing written. Writes that Xen makes for the guest are
 * not stopped. `openTrap` undoes it.
 *
 * Pages of code that their own kernel writes to are `PatchedPages`.
 *
 * Page tables on the way to the pages are trapped as well, for the sake of some
 * of their entries. What is written to the others Xen's emulator writes: it asks
 * for no trap, so only instructions that can be understood are left to it.
 *
 * Xen emulates when the virtual CPU runs again. One that is paused before would
 * write after all if it is let run when nothing is trapped any more. So where
 * the listener pauses, it is told one instruction later (monitor trap flag).
 */
export class WriteTrap implements EventListener {
  #host: XenHost;
  #domain: number;
  #listener: GuestListener;
  #memory: ThroughTables;
  #pages = new Set<bigint>();
  /** Of the pages, those that the kernel writes to as well */
  #patched: PatchedPages;
  #entries = new ProtectedEntries();
  #tableUses = new EventRate(MAX_TABLE_USES);
  /** By virtual CPU, from its write until it has finished */
  #steps = new Map<number, Step>();

  /**
   * @param domain Domain id
   * @param listener Is told of each write
   * @param memory The guest's
   * @throws {XenError} If Xen refuses: EOPNOTSUPP on processors of AMD
   */
  constructor(
    host: XenHost,
    domain: number,
    events: MonitorEvents,
    listener: GuestListener,
    memory: ThroughTables,
  ) {
    this.#host = host;
    this.#domain = domain;
    this.#listener = listener;
    this.#memory = memory;
    this.#patched = new PatchedPages(host, domain, listener, memory);
    if (listener.pauses) host.control.tellSteps(domain);
    events.add(this);
  }

  /**
   * Keeps the guest from writing to pages, and from changing the way to them.
   *
   * @param pages Guest frames of ordinary memory
   * @param entries The way, in place of that of an earlier call
   * @param patched Of those pages that the kernel writes to as well, the guest
   *   virtual address by guest frame
   * @throws {XenError} If Xen refuses one, with those before it trapped: EINVAL
   *   on processors of AMD
   */
  close(
    pages: readonly bigint[],
    entries: ProtectedEntries = new ProtectedEntries(),
    patched: ReadonlyMap<bigint, bigint> = new Map(),
  ): void {
    for (const page of pages) this.#pages.add(page);
    const before = this.#tables;
    this.#entries = entries;
    const { control } = this.#host;
    control.setAccess(this.#domain, [...pages, ...this.#tables], "r-x");
    this.#patched.closed(patched);
    this.#open(before.filter((table) => !entries.isTable(table)));
  }

  /**
   * Frames that are open though nobody opened them: they came in the place of
   * trapped ones.
   *
   * @throws {XenError} If Xen refuses
   */
  replaced(): bigint[] {
    const closed = [...this.#pages, ...this.#tables].filter((frame) =>
      !(this.#patched.areOpen && this.#patched.has(frame))
    );
    const { hypercalls } = this.#host;
    const accesses = hypercalls.accessesOf(this.#domain, closed);
    return closed.filter((_, index) =>
      accesses[index] === constants.XENMEM_access_rwx
    );
  }

  /** Frames of page tables that are trapped as such. */
  get #tables(): bigint[] {
    return this.#entries.tables.filter((table) => !this.#pages.has(table));
  }

  #open(tables: readonly bigint[]): void {
    openTrap(this.#host, this.#domain, tables);
  }

  answer(event: VmEvent): VmAnswer | undefined {
    if (event.kind === "step") {
      this.#finish(event.vcpu);
      return "end steps";
    }
    if (event.kind !== "memory" || !event.writes) return undefined;
    if (this.#pages.has(event.frame)) return this.#answerPage(event);
    if (this.#entries.isTable(event.frame)) return this.#answerTable(event);
    return undefined;
  }

  #answerPage(event: MemoryEvent): VmAnswer {
    if (!this.#patched.has(event.frame)) return this.#stop(event);
    const verdict = this.#patched.judge(event);
    if (typeof verdict === "string") return verdict;
    return this.#stop({ ...event, ...verdict }, verdict);
  }

  /** What the guest or its processor does to a page table. */
  #answerTable(event: MemoryEvent): VmAnswer {
    const { frame, offset, inWalk } = event;
    if (!inWalk) {
      const size = this.#sizeOf(event);
      const entry = this.#entries.reached(frame, offset, size);
      if (entry !== undefined) return this.#stop(event, { entry });
    }
    if (!this.#tableUses.next()) {
      this.#openTables();
      return "go on";
    }
    if (!inWalk) return "emulate";
    // Emulated, the instruction could do anything, and no trap would stop it
    this.#mark(frame, Math.floor(offset / 8));
    return "go on";
  }

  /** Bytes that an instruction writes; nothing if it may be any number. */
  #sizeOf({ vcpu, frame, address }: MemoryEvent): number | undefined {
    const { control } = this.#host;
    const view = readWaitingCpu(control, this.#domain, vcpu);
    if (view === undefined) return undefined;
    const store = readStore(view, this.#memory);
    // The processor may write elsewhere for another reason, such as an
    // interrupt, or know an older translation: Xen's emulator would not
    const isThis = store?.address === address && store?.frame === frame;
    return isThis ? store?.size : undefined;
  }

  #mark(table: bigint, index: number): void {
    try {
      markEntry(this.#host, this.#domain, table, index);
    } catch (error) {
      // The guest gave the frame away in that moment, or is gone
      if (!(error instanceof RangeError)) throw error;
    }
  }

  #openTables(): void {
    this.#open(this.#tables);
    this.#entries = new ProtectedEntries();
    this.#listener.weakened(
      "tables",
      `the guest used them otherwise more than ${MAX_TABLE_USES} times in a ` +
        "second",
    );
  }

  /** @param known The entry that it may reach, or what was to be written */
  #stop(
    { vcpu, ip, frame, offset }: MemoryEvent,
    known?: Pick<StoppedWrite, "entry" | "data">,
  ): VmAnswer {
    const write = { vcpu, ip, frame, offset, ...known };
    const step = this.#steps.get(vcpu);
    if (step !== undefined) {
      // The next instruction writes as well, or this one goes on
      if (step.writes.length < MAX_KEPT) step.writes.push(write);
      return "discard";
    }
    if (!this.#listener.pauses) {
      this.#listener.stopped(write);
      return "discard";
    }
    const writes = [write];
    const timer = setTimeout(() => this.#tell(writes), STEP_LIMIT);
    this.#steps.set(vcpu, { writes, timer });
    return "discard and step";
  }

  #tell(writes: StoppedWrite[]): void {
    for (const write of writes.splice(0)) this.#listener.stopped(write);
  }

  #finish(vcpu: number): void {
    const step = this.#steps.get(vcpu);
    if (step === undefined) return;
    clearTimeout(step.timer);
    this.#steps.delete(vcpu);
    this.#tell(step.writes);
  }

  /** Lets virtual CPUs run freely that were to finish first. */
  ended(): void {
    this.#patched.ended();
    for (const vcpu of [...this.#steps.keys()]) {
      unlessGone(() => this.#host.control.endSteps(this.#domain, vcpu));
      this.#finish(vcpu);
    }
  }
}
