import type { PvCpuState, TrapHandler } from "../guestos/cpu_state.ts";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import { DomainGuest } from "./domain_guest.ts";
import type { Domain } from "./domains.ts";
import { XenError } from "./errors.ts";
import { FrameMapping } from "./frame_mapping.ts";
import type { XenHost } from "./host.ts";
import type { EntryUpdate } from "./hypercalls.ts";
import type {
  Journal,
  LockedEntry,
  ProtectedEntry,
  ProtectionNote,
} from "./journal.ts";
import { PAGE_SIZE, trapInfo, vcpuContext } from "./layouts.ts";
import { mapRange } from "./frame_mapping.ts";
import { constants } from "./constants.ts";
import { entryBits, entryFrame, type WalkStep } from "./page_walk.ts";
import { pageWords } from "./page_words.ts";
import type { InvariantRange, Protection } from "./protection.ts";
import { ToolstackRequests } from "./toolstack_requests.ts";
import { decodeVcpuContext } from "./vcpu_context.ts";

/** A guest that changes its tables all the time must not hold us for ever. */
const MAX_TRIES = 4;

const EAGAIN = 11;

const TRAP_TABLE_SIZE = trapInfo.count * trapInfo.size;

/** A raw `vcpu_guest_context_t`. */
class RawContext {
  readonly bytes = new Uint8Array(vcpuContext.size);
  /** Its trap table, and where that lies */
  readonly trapTable = this.bytes.subarray(
    vcpuContext.trap_ctxt,
    vcpuContext.trap_ctxt + TRAP_TABLE_SIZE,
  );
  readonly pointer = Deno.UnsafePointer.of(this.trapTable);
}

/** The last raw context of a virtual CPU, and the one before. */
interface KeptContext {
  now: RawContext;
  before: RawContext;
  /** What `now` says of the handlers */
  traps?: readonly TrapHandler[];
}

/** A last-level entry that leads to a protected page. */
interface Leaf {
  readonly address: bigint;
  readonly frame: bigint;
  readonly step: WalkStep;
}

/** A change of an entry, and what to do if Xen refuses it; else it is an error. */
interface Change extends EntryUpdate {
  readonly refused?: () => void;
}

/**
 * A 64-bit PV guest: its memory, its page tables, its pauses.
 *
 * Pages stay mapped between readings; `refresh` looks at the guest anew, and
 * everything else answers from what it saw. `dispose` gives all mappings back:
 * one that is held keeps a dead domain alive.
 */
export class PvGuest extends DomainGuest<PvCpuState> {
  #contexts: KeptContext[] = [];
  /** Page-table entries that are read-only because of us */
  #entries: ProtectedEntry[] = [];
  /** Those that lead to frames of Dom0's because of us */
  #locked: LockedEntry[] = [];
  /** These frames */
  #own: Set<bigint>;
  /**
   * The same, mapped: a guest that maps one no more must not have it freed, and
   * used for something else, while it may have to be put back
   */
  #kept: FrameMapping[] = [];
  /** The guest is not to suspend with frames in its tables that are not its */
  #requests: ToolstackRequests;
  #holdsRequests = false;

  /**
   * @param journal Where changes to the guest are noted before they are made;
   *   without one the guest can only be looked at
   * @param locks Frames of Dom0's that it maps because somebody else guards it
   * @throws {RangeError} If the guest is no PV guest
   */
  constructor(
    host: XenHost,
    domain: Domain,
    journal?: Journal,
    locks: readonly bigint[] = [],
  ) {
    if (domain.type !== "PV") {
      throw new RangeError(`${domain.name} is a ${domain.type} guest, not PV`);
    }
    const own = new Set(locks);
    // PV guests have no LA57: Xen gives them four levels (public/arch-x86)
    super(host, domain, 4, journal, own);
    this.#own = own;
    this.#requests = new ToolstackRequests(host.store, domain.id);
    this.refresh();
    this.assertAlive();
  }

  /** The same handlers as before are the same object. */
  protected override readCpu(vcpu: number): PvCpuState {
    const kept = this.#contexts[vcpu] ??= {
      now: new RawContext(),
      before: new RawContext(),
    };
    [kept.now, kept.before] = [kept.before, kept.now];
    const { now, before, traps } = kept;
    kept.traps = undefined;
    const { control, libraries } = this.host;
    const view = control.vcpuContext(this.domain.id, vcpu, now.bytes);
    const same = traps !== undefined && libraries.libc.symbols.memcmp(
          now.pointer,
          before.trapTable,
          BigInt(TRAP_TABLE_SIZE),
        ) === 0;
    const state = decodeVcpuContext(vcpu, view, same ? traps : undefined);
    kept.traps = state.traps;
    return state;
  }

  /** The last-level entries that lead to the pages of some ranges. */
  #leaves(ranges: readonly { start: bigint; size: number }[]): Leaf[] {
    const leaves = new Map<string, Leaf>();
    const add = (address: bigint, frame: bigint, step: WalkStep) => {
      const key = `${step.table}:${step.index}`;
      if (!leaves.has(key)) leaves.set(key, { address, frame, step });
    };
    const frames = new Set<bigint>();
    for (const { start, size } of ranges) {
      this.walks(start, size).forEach((walk, page) => {
        const address = start + BigInt(page * PAGE_SIZE);
        if (walk.kind !== "mapped") {
          throw new UnreadableMemoryError(address, walk.kind);
        }
        frames.add(walk.frame);
        // A fresh reading: the kept walk's entry may have older flags
        const step = this.walk(address).steps.at(-1)!;
        add(address, walk.frame, step);
      });
    }
    for (const { address, frame, step } of this.aliases(frames).aliases) {
      add(address, frame, step);
    }
    return [...leaves.values()];
  }

  /**
   * Keeps the guest from writing to ranges, in every mapping of the kernel
   * half. The guest is paused for as long as that takes: only then no processor
   * goes on with an old translation.
   *
   * @param ranges Page aligned; those that bear it
   * @throws {UnreadableMemoryError} If one page is not mapped
   * @throws {XenError} If Xen refuses to make entries read-only
   */
  override protect(ranges: readonly InvariantRange[]): Protection {
    const mayLock = ({ rungs, kind }: InvariantRange) =>
      kind === "data" && rungs.includes("lock");
    const locked = this.#tryLock(ranges.filter(mayLock));
    const rungs = ranges.map((range) => {
      if (mayLock(range) && locked.refused === undefined) return "lock";
      return range.rungs.includes("protect") ? "protect" : "poll";
    });
    const bearing = ranges.filter((_, index) => rungs[index] === "protect");
    const readOnly = bearing.length === 0 ? 0 : this.#makeReadOnly(bearing);
    return {
      rungs,
      entries: locked.entries + readOnly,
      // They are Xen's
      registers: false,
      ...(locked.refused === undefined ? {} : { refused: locked.refused }),
      ...(locked.asked === undefined ? {} : { asked: locked.asked }),
    };
  }

  #tryLock(
    ranges: readonly InvariantRange[],
  ): Pick<Protection, "entries" | "refused" | "asked"> {
    if (ranges.length === 0) return { entries: 0 };
    try {
      return { entries: this.#lock(ranges) };
    } catch (error) {
      // A guest that hides a page of its data must not end the monitor
      const isRefusal = error instanceof XenError ||
        error instanceof RangeError || error instanceof UnreadableMemoryError;
      if (!isRefusal) throw error;
      const refused = `no page can be locked: ${error.message}`;
      return this.#requests.asked === undefined
        ? { entries: 0, refused }
        : { entries: 0, refused, asked: true };
    }
  }

  /**
   * Copies ranges to frames of Dom0's and makes them lead there, read-only.
   *
   * @returns Number of entries that lead elsewhere now
   */
  #lock(ranges: readonly InvariantRange[]): number {
    const isGuests = ({ frame }: Leaf) => !this.#own.has(frame);
    const frames = new Set(this.framesOf(ranges)).difference(this.#own);
    if (frames.size === 0) return 0;
    const { control } = this.host;
    const taken = control.takeFrames(frames.size);
    try {
      this.#holdRequests();
      return this.#change(() => {
        const leaves = this.#leaves(ranges).filter(isGuests);
        const locks = this.#fillLocks(leaves, taken);
        return leaves.map((leaf) => this.#lockLeaf(leaf, locks));
      }, constants.DOMID_SELF);
    } catch (error) {
      this.unprotect();
      throw error;
    } finally {
      // What the guest maps stays until it maps it no more: nothing is lost
      // if we are killed, nor if the guest is destroyed
      control.giveFrames(taken);
    }
  }

  /** @throws {XenError} EAGAIN if the toolstack has asked for something */
  #holdRequests(): void {
    if (this.#holdsRequests) return;
    this.#holdsRequests = true;
    this.note();
    this.#requests.hold();
    const { asked } = this.#requests;
    if (asked !== undefined) {
      throw new XenError(`a lock while the guest is to ${asked}`, EAGAIN);
    }
  }

  #releaseRequests(): void {
    if (!this.#holdsRequests) return;
    this.#requests.release();
    this.#holdsRequests = false;
  }

  /** Copies the frames of leaves; returns which frame became which. */
  #fillLocks(
    leaves: readonly Leaf[],
    taken: readonly bigint[],
  ): ReadonlyMap<bigint, bigint> {
    const frames = [...new Set(leaves.map(({ frame }) => frame))];
    const free = taken.filter((frame) => !this.#own.has(frame));
    if (frames.length > free.length) {
      throw new XenError("the guest moves its pages", EAGAIN);
    }
    if (frames.length === 0) return new Map();
    const { frames: memory } = this.host;
    const source = memory.of(this.domain.id);
    using contents = mapRange(source, leaves[0]!.address, frames);
    const locks = free.slice(0, frames.length);
    memory.fill(locks, new Uint8Array(contents.bytes));
    const own = memory.of(this.domain.id, new Set(locks));
    this.#kept.push(mapRange(own, leaves[0]!.address, locks));
    return new Map(frames.map((frame, index) => [frame, locks[index]!]));
  }

  #forgetLocks(): void {
    for (const mapping of this.#kept) mapping.unmap();
    this.#kept = [];
  }

  #lockLeaf(
    { address, frame, step }: Leaf,
    locks: ReadonlyMap<bigint, bigint>,
  ): Change {
    const lock = locks.get(frame)!;
    const known = this.#entries.find((entry) =>
      entry.address === address && entry.frame === frame
    );
    this.#entries = this.#entries.filter((entry) => entry !== known);
    const writable = known !== undefined ||
      (step.entry & entryBits.writable) !== 0n;
    this.#locked.push({ address, frame, lock, writable });
    this.#own.add(lock);
    return { ...step, entry: leadTo(lock, step.entry & ~entryBits.writable) };
  }

  #makeReadOnly(ranges: readonly InvariantRange[]): number {
    return this.#change(() => {
      const writable = this.#leaves(ranges).filter(({ step }) =>
        (step.entry & entryBits.writable) !== 0n
      );
      const key = ({ address, frame }: ProtectedEntry) => `${address}:${frame}`;
      const known = new Set(this.#entries.map(key));
      for (const { address, frame } of writable) {
        const entry = { address, frame };
        if (!known.has(key(entry))) this.#entries.push(entry);
      }
      return writable.map(({ step }) => ({
        ...step,
        entry: step.entry & ~entryBits.writable,
      }));
    });
  }

  /**
   * Undoes what `protect` did to every entry that still leads to the same
   * frame. What Xen refuses hides no other: see `stuck`.
   */
  override unprotect(): string | undefined {
    if (this.#entries.length + this.#locked.length === 0) {
      this.#forgetLocks();
      this.#releaseRequests();
      this.note();
      return undefined;
    }
    const refused = new Set<ProtectedEntry>();
    const changed = this.#change(() => {
      const updates = new Map<string, Change>();
      /** By frame */
      const locked = new Map<bigint, LockedEntry>();
      const all: (ProtectedEntry | LockedEntry)[] = [
        ...this.#locked,
        ...this.#entries,
      ];
      for (const entry of all) {
        if (refused.has(entry)) continue;
        const step = this.walk(entry.address).steps.at(-1);
        const value = step?.level === 1 && undo(entry, step.entry);
        if (step === undefined || typeof value !== "bigint") continue;
        if ("lock" in entry) locked.set(entry.frame, entry);
        updates.set(`${step.table}:${step.index}`, {
          ...step,
          entry: value,
          refused: () => refused.add(entry),
        });
      }
      this.#copyBack([...locked.values()]);
      return [...updates.values()];
    });
    this.#entries = this.#entries.filter((entry) => refused.has(entry));
    this.#locked = this.#locked.filter((entry) => refused.has(entry));
    this.#own.clear();
    for (const { lock } of this.#locked) this.#own.add(lock);
    if (this.#locked.length === 0) this.#forgetLocks();
    this.#releaseRequests();
    this.note();
    return changed === 0
      ? undefined
      : `${changed} page-table entries are writable again`;
  }

  /**
   * Has the guest's own frames hold what it sees in their locks: it may have
   * written to them, by a hypercall or through another mapping.
   */
  #copyBack(entries: readonly LockedEntry[]): void {
    if (entries.length === 0) return;
    const { frames: memory } = this.host;
    const locks = memory.of(this.domain.id, this.#own)
      .map(entries.map(({ lock }) => lock));
    if (!(locks instanceof FrameMapping)) return;
    using _locks = locks;
    const now = memory.map(
      this.domain.id,
      entries.map(({ frame }) => frame),
    );
    using known = now instanceof FrameMapping ? now : undefined;
    for (const [page, { frame }] of entries.entries()) {
      const from = page * PAGE_SIZE;
      const trusted = new Uint8Array(locks.bytes, from, PAGE_SIZE);
      if (known?.equals(from, trusted) !== true) this.#tryFill(frame, trusted);
    }
  }

  /** What it has made something else of stays that: the next pass tells. */
  #tryFill(frame: bigint, page: Uint8Array): void {
    try {
      super.writeFrame(frame, 0, page);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
    }
  }

  /** A page table cannot be mapped to be written, only asked for. */
  protected override writeFrame(
    frame: bigint,
    offset: number,
    bytes: Uint8Array,
  ): void {
    const isOwn = this.#own.has(frame);
    const owner = isOwn ? constants.DOMID_SELF : this.domain.id;
    try {
      super.writeFrame(frame, offset, bytes, owner);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const now = this.host.frames.map(this.domain.id, [frame]);
      if (!(now instanceof FrameMapping)) throw error;
      using _mapping = now;
      const page = new Uint8Array(now.bytes);
      this.writeEntries(pageWords(frame, page, offset, bytes));
    }
  }

  override writeEntries(updates: readonly EntryUpdate[]): void {
    const { hypercalls } = this.host;
    const { id } = this.domain;
    // A call is for frames of one domain
    const toLocks = (update: EntryUpdate) =>
      this.#own.has(entryFrame(update.entry));
    for (
      const [owner, some] of [
        [constants.DOMID_SELF, updates.filter(toLocks)],
        [id, updates.filter((update) => !toLocks(update))],
      ] as const
    ) {
      if (some.length > 0) hypercalls.updateEntries(id, some, owner);
    }
  }

  override [Symbol.dispose](): void {
    this.#forgetLocks();
    super[Symbol.dispose]();
  }

  protected override get protection(): ProtectionNote {
    const locked = this.#locked;
    return {
      entries: this.#entries,
      ...(locked.length === 0 ? {} : { locked }),
      ...(this.#holdsRequests ? { requests: true } : {}),
    };
  }

  protected override adopt(
    { entries, locked = [], requests }: ProtectionNote,
  ): void {
    this.#holdsRequests = requests === true;
    this.#entries = [...entries];
    this.#locked = [...locked];
    for (const { lock } of locked) this.#own.add(lock);
  }

  /**
   * Changes page-table entries while the guest stands still. What is to be
   * changed is found after the pause, so it cannot move under our hands.
   *
   * @param owner Whose frames the entries are to lead to
   */
  #change(find: () => Change[], owner = this.domain.id): number {
    if (this.journal === undefined) {
      throw new TypeError("A guest without a journal is only looked at");
    }
    return this.whilePaused(({ note }) => {
      this.refresh();
      this.assertAlive();
      let total = 0;
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const updates = find();
        if (updates.length === 0) break;
        note();
        total += this.#update(updates, owner);
      }
      return total;
    });
  }

  /**
   * Changes entries at one blow, or one by one if Xen refuses that.
   *
   * @returns Number of entries that were changed
   * @throws {XenError} If Xen refuses one that may not be refused
   */
  #update(updates: readonly Change[], owner: number): number {
    const { hypercalls } = this.host;
    const { id } = this.domain;
    try {
      hypercalls.updateEntries(id, updates, owner);
      return updates.length;
    } catch (error) {
      const strict = updates.some(({ refused }) => refused === undefined);
      if (!(error instanceof XenError) || strict) throw error;
    }
    let changed = 0;
    for (const update of updates) {
      try {
        hypercalls.updateEntries(id, [update], owner);
        changed++;
      } catch (error) {
        if (!(error instanceof XenError)) throw error;
        update.refused?.();
      }
    }
    return changed;
  }
}

/** An entry that leads to another frame, with the same flags. */
function leadTo(frame: bigint, entry: bigint): bigint {
  return entry & ~(entryFrame(entry) << 12n) | frame << 12n;
}

/** What an entry was before it was protected or locked, if it still is. */
function undo(
  protectedEntry: ProtectedEntry | LockedEntry,
  entry: bigint,
): bigint | undefined {
  const { frame } = protectedEntry;
  const leadsTo = entryFrame(entry);
  if ((entry & entryBits.present) === 0n) return undefined;
  if ("lock" in protectedEntry) {
    const { lock, writable } = protectedEntry;
    const flag = writable ? entryBits.writable : 0n;
    return leadsTo === lock ? leadTo(frame, entry) | flag : undefined;
  }
  const isOurs = leadsTo === frame && (entry & entryBits.writable) === 0n;
  return isOurs ? entry | entryBits.writable : undefined;
}
