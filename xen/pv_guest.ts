import type { PvCpuState, TrapHandler } from "../guestos/cpu_state.ts";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import { DomainGuest } from "./domain_guest.ts";
import type { Domain } from "./domains.ts";
import { XenError } from "./errors.ts";
import { FrameMapping } from "./frame_mapping.ts";
import type { XenHost } from "./host.ts";
import type { EntryUpdate } from "./hypercalls.ts";
import type { Journal, ProtectedEntry, ProtectionNote } from "./journal.ts";
import { PAGE_SIZE, trapInfo, vcpuContext } from "./layouts.ts";
import { entryBits, entryFrame, type WalkStep } from "./page_walk.ts";
import { pageWords } from "./page_words.ts";
import type { InvariantRange, Protection } from "./protection.ts";
import { decodeVcpuContext } from "./vcpu_context.ts";

/** A guest that changes its tables all the time must not hold us for ever. */
const MAX_TRIES = 4;

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

  /**
   * @param journal Where changes to the guest are noted before they are made;
   *   without one the guest can only be looked at
   * @throws {RangeError} If the guest is no PV guest
   */
  constructor(host: XenHost, domain: Domain, journal?: Journal) {
    if (domain.type !== "PV") {
      throw new RangeError(`${domain.name} is a ${domain.type} guest, not PV`);
    }
    // PV guests have no LA57: Xen gives them four levels (public/arch-x86)
    super(host, domain, 4, journal);
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
   * Makes ranges read-only in every mapping of the kernel half. The guest is
   * paused for as long as that takes: only then no processor goes on with an
   * old translation.
   *
   * @param ranges Page aligned; those that bear it
   * @throws {UnreadableMemoryError} If one page is not mapped
   * @throws {XenError} If Xen refuses
   */
  override protect(ranges: readonly InvariantRange[]): Protection {
    const bears = ({ rungs }: InvariantRange) => rungs.includes("protect");
    const bearing = ranges.filter(bears);
    return {
      rungs: ranges.map((range) => bears(range) ? "protect" : "poll"),
      entries: bearing.length === 0 ? 0 : this.#makeReadOnly(bearing),
      // They are Xen's
      registers: false,
    };
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
   * Makes every page writable again that `protect` made read-only and that
   * still leads to the same frame. What Xen refuses hides no other: see
   * `stuck`.
   */
  override unprotect(): string | undefined {
    if (this.#entries.length === 0) {
      this.note();
      return undefined;
    }
    const refused = new Set<ProtectedEntry>();
    const changed = this.#change(() => {
      const updates = new Map<string, Change>();
      for (const protectedEntry of this.#entries) {
        if (refused.has(protectedEntry)) continue;
        const { address, frame } = protectedEntry;
        const walk = this.walk(address);
        const step = walk.steps.at(-1);
        if (walk.kind !== "mapped" || step === undefined) continue;
        const same = step.level === 1 && entryFrame(step.entry) === frame;
        if (!same || (step.entry & entryBits.writable) !== 0n) continue;
        updates.set(`${step.table}:${step.index}`, {
          ...step,
          entry: step.entry | entryBits.writable,
          refused: () => refused.add(protectedEntry),
        });
      }
      return [...updates.values()];
    });
    this.#entries = [...refused];
    this.note();
    return changed === 0
      ? undefined
      : `${changed} page-table entries are writable again`;
  }

  /** A page table cannot be mapped to be written, only asked for. */
  protected override writeFrame(
    frame: bigint,
    offset: number,
    bytes: Uint8Array,
  ): void {
    try {
      super.writeFrame(frame, offset, bytes);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      const now = this.host.frames.map(this.domain.id, [frame]);
      if (!(now instanceof FrameMapping)) throw error;
      using stack = new DisposableStack();
      stack.defer(() => now.unmap());
      const page = new Uint8Array(now.bytes);
      this.writeEntries(pageWords(frame, page, offset, bytes));
    }
  }

  override writeEntries(updates: readonly EntryUpdate[]): void {
    this.host.hypercalls.updateEntries(this.domain.id, updates);
  }

  protected override get protection(): ProtectionNote {
    return { entries: this.#entries };
  }

  protected override adopt({ entries }: ProtectionNote): void {
    this.#entries = [...entries];
  }

  /**
   * Changes page-table entries while the guest stands still. What is to be
   * changed is found after the pause, so it cannot move under our hands.
   */
  #change(find: () => Change[]): number {
    if (this.journal === undefined) {
      throw new TypeError("A guest without a journal is only looked at");
    }
    const { control } = this.host;
    const before = this.paused();
    // An operator may have let it run
    if (!before) this.forgetHold();
    this.note(before ? "working, paused before" : "working");
    control.pause(this.domain.id);
    try {
      this.refresh();
      this.assertAlive();
      let total = 0;
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const updates = find();
        if (updates.length === 0) break;
        this.note(before ? "working, paused before" : "working");
        total += this.#update(updates);
      }
      return total;
    } finally {
      control.unpause(this.domain.id);
      this.note();
    }
  }

  /**
   * Changes entries at one blow, or one by one if Xen refuses that.
   *
   * @returns Number of entries that were changed
   * @throws {XenError} If Xen refuses one that may not be refused
   */
  #update(updates: readonly Change[]): number {
    const { hypercalls } = this.host;
    const { id } = this.domain;
    try {
      hypercalls.updateEntries(id, updates);
      return updates.length;
    } catch (error) {
      const strict = updates.some(({ refused }) => refused === undefined);
      if (!(error instanceof XenError) || strict) throw error;
    }
    let changed = 0;
    for (const update of updates) {
      try {
        hypercalls.updateEntries(id, [update]);
        changed++;
      } catch (error) {
        if (!(error instanceof XenError)) throw error;
        update.refused?.();
      }
    }
    return changed;
  }
}
