import { UnreadableMemoryError } from "../guestos/memory.ts";
import { type AliasScan, findAliases } from "./aliases.ts";
import type { Domain } from "./domains.ts";
import { NoSuchDomainError, XenError } from "./errors.ts";
import { type ForeignMapping, mapRange } from "./foreign_frames.ts";
import type { XenHost } from "./host.ts";
import type { EntryUpdate } from "./hypercalls.ts";
import type { Journal, ProtectedEntry } from "./journal.ts";
import {
  domainFlags,
  domainInfo,
  PAGE_SIZE,
  trapInfo,
  vcpuContext,
} from "./layouts.ts";
import { pageAlignedCopy } from "./page_aligned_copy.ts";
import {
  entryBits,
  entryFrame,
  type Levels,
  type Mapped,
  type NotMapped,
  walkPageTables,
  type WalkStep,
} from "./page_walk.ts";
import { RegionMap } from "./region_map.ts";
import { TableCache, type TablesCopy } from "./table_cache.ts";
import { destroyGuest } from "./xl.ts";
import {
  type CpuState,
  decodeVcpuContext,
  type TrapHandler,
} from "./vcpu_context.ts";

const MAX_READ = 16 << 20;
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

interface View {
  readonly map: RegionMap;
  /** What `frames` and `mapping` were made from */
  walks?: readonly (Mapped | NotMapped)[];
  frames: bigint[];
  mapping?: ForeignMapping;
}

/** A scan for aliases, which holds while the tables do not change. */
interface KeptScan {
  readonly frames: ReadonlySet<bigint>;
  readonly root: bigint;
  readonly tables: TablesCopy;
  readonly scan: AliasScan;
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

function isFull(error: unknown): boolean {
  return error instanceof Error && /No space left|quota/i.test(error.message);
}

/**
 * Refuses a guest of another type.
 *
 * @throws {RangeError} If it is no PV guest
 */
export function assertPv({ name, type }: Domain): void {
  if (type === "PV") return;
  throw new RangeError(
    `${name} is a ${type} guest: xkmon guards PV guests so far`,
  );
}

/**
 * A 64-bit PV guest: its memory, its page tables, its pauses.
 *
 * Pages stay mapped between readings; `refresh` looks at the guest anew, and
 * everything else answers from what it saw. `dispose` gives all mappings back:
 * one that is held keeps a dead domain alive.
 */
export class PvGuest implements Disposable {
  readonly domain: Domain;
  #host: XenHost;
  #journal: Journal | undefined;
  // PV guests have no LA57: Xen gives them four levels (public/arch-x86)
  #levels: Levels = 4;
  #tables: TableCache;
  #views = new Map<bigint, View>();
  #cpus: readonly CpuState[] = [];
  #contexts: KeptContext[] = [];
  #kept: KeptScan | undefined;
  #protected: ProtectedEntry[] = [];
  /** Why we have it paused */
  #hold: "look" | "attack" | undefined;

  /**
   * @param journal Where changes to the guest are noted before they are made;
   *   without one the guest can only be looked at
   * @throws {RangeError} If the guest is no PV guest
   */
  constructor(host: XenHost, domain: Domain, journal?: Journal) {
    assertPv(domain);
    this.domain = domain;
    this.#host = host;
    this.#journal = journal;
    this.#tables = new TableCache(host.frames, domain.id);
    this.refresh();
    this.assertAlive();
  }

  /** State of each virtual CPU at the last `refresh`. */
  get cpus(): readonly CpuState[] {
    return this.#cpus;
  }

  /** Frame of the kernel's root page table at the last `refresh`. */
  get root(): bigint {
    return this.#cpus[0]!.root;
  }

  /**
   * Reads the virtual CPUs anew.
   *
   * @throws {NoSuchDomainError} If the guest is gone
   */
  refresh(): void {
    const cpus: CpuState[] = [];
    for (let vcpu = 0; vcpu < this.domain.maxVcpus; vcpu++) {
      try {
        cpus.push(this.#readCpu(vcpu));
      } catch (error) {
        if (!(error instanceof XenError)) throw error;
        if (error.code === "ESRCH") throw this.#goneError(error);
        // A virtual CPU that was never brought up
        if (vcpu === 0 || error.code !== "ENODATA") throw error;
      }
    }
    this.#cpus = cpus;
  }

  /** The same handlers as before are the same object. */
  #readCpu(vcpu: number): CpuState {
    const kept = this.#contexts[vcpu] ??= {
      now: new RawContext(),
      before: new RawContext(),
    };
    [kept.now, kept.before] = [kept.before, kept.now];
    const { now, before, traps } = kept;
    kept.traps = undefined;
    const { control, libraries } = this.#host;
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

  /**
   * Makes sure that what was seen was seen of a guest.
   *
   * @throws {NoSuchDomainError} If the guest is gone or being taken apart:
   *   what its CPUs and tables say then is true of no guest
   */
  assertAlive(): void {
    if ((this.#flags() & domainFlags.dying) !== 0) throw this.#goneError();
  }

  #goneError(cause?: Error): NoSuchDomainError {
    return new NoSuchDomainError(`${this.domain.name} is gone`, { cause });
  }

  /** Where an address leads at this moment. */
  walk(address: bigint): Mapped | NotMapped {
    return walkPageTables(
      this.#tables.entry,
      this.root,
      address,
      this.#levels,
    );
  }

  /**
   * Where each page of a range leads at this moment; the same array as before
   * if nothing changed.
   *
   * @param start Guest virtual address, page aligned
   * @param size Bytes, a multiple of the page size
   */
  walks(start: bigint, size: number): readonly (Mapped | NotMapped)[] {
    return this.#view(start, size).map.walks(this.root);
  }

  #view(start: bigint, size: number): View {
    const pages = size / PAGE_SIZE;
    let view = this.#views.get(start);
    if (view?.map.pages !== pages) {
      view?.mapping?.unmap();
      view = {
        map: new RegionMap(this.#tables, this.#levels, start, pages),
        frames: [],
      };
      this.#views.set(start, view);
    }
    return view;
  }

  /** The range's pages as one mapping, through the current tables. */
  #mapping(start: bigint, size: number): ForeignMapping {
    const view = this.#view(start, size);
    const walks = view.map.walks(this.root);
    if (view.mapping !== undefined && view.walks === walks) return view.mapping;
    const frames = walks.map((walk, page) => {
      if (walk.kind === "mapped") return walk.frame;
      throw new UnreadableMemoryError(
        start + BigInt(page * PAGE_SIZE),
        walk.kind,
      );
    });
    const same = view.mapping !== undefined &&
      frames.every((frame, page) => frame === view.frames[page]);
    if (!same) {
      view.mapping?.unmap();
      view.mapping = undefined;
      view.mapping = mapRange(this.#host.frames, this.domain.id, start, frames);
      view.frames = frames;
    }
    view.walks = walks;
    return view.mapping!;
  }

  /**
   * Compares a range with a trusted copy, through the current page tables.
   *
   * @param start Guest virtual address, page aligned
   * @param trusted What should be there, a multiple of the page size
   * @returns Positions of the pages that differ
   * @throws {UnreadableMemoryError} If one page is unreadable
   */
  compare(start: bigint, trusted: Uint8Array<ArrayBuffer>): number[] {
    const mapping = this.#mapping(start, trusted.length);
    if (mapping.equals(0, trusted)) return [];
    const differing: number[] = [];
    for (let at = 0; at < trusted.length; at += PAGE_SIZE) {
      if (!mapping.equals(at, trusted.subarray(at, at + PAGE_SIZE))) {
        differing.push(at / PAGE_SIZE);
      }
    }
    return differing;
  }

  /** A copy of bytes that `compare` is fast with. */
  trustedCopy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    return pageAlignedCopy(bytes);
  }

  /** See `GuestMemory.read`. */
  read(address: bigint, length: number): Uint8Array<ArrayBuffer> {
    if (!(length >= 0 && length <= MAX_READ)) {
      throw new RangeError(`Cannot read ${length} bytes: at most ${MAX_READ}`);
    }
    const bytes = new Uint8Array(length);
    if (length === 0) return bytes;
    const offset = Number(address & BigInt(PAGE_SIZE - 1));
    const start = address - BigInt(offset);
    const pages = Math.ceil((offset + length) / PAGE_SIZE);
    const frames = Array.from({ length: pages }, (_, page) => {
      const at = start + BigInt(page * PAGE_SIZE);
      const walk = this.walk(at);
      if (walk.kind === "mapped") return walk.frame;
      throw new UnreadableMemoryError(page === 0 ? address : at, walk.kind);
    });
    const mapping = mapRange(
      this.#host.frames,
      this.domain.id,
      start,
      frames,
    );
    try {
      bytes.set(new Uint8Array(mapping.bytes, offset, length));
    } finally {
      mapping.unmap();
    }
    return bytes;
  }

  /** Every mapping of some frames in the kernel half of the address space. */
  aliases(frames: ReadonlySet<bigint>): AliasScan {
    const { root } = this;
    const kept = this.#kept;
    const same = kept?.frames === frames && kept.root === root &&
      kept.scan.complete && this.#tables.same(kept.tables);
    if (same) return kept.scan;
    // First the copy: what changes during the scan differs from it next time
    const tables = this.#tables.copy();
    const scan = findAliases(this.#tables, root, frames);
    this.#kept = { frames, root, tables, scan };
    return scan;
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
   * @param ranges Page aligned
   * @returns Number of entries that were changed
   * @throws {UnreadableMemoryError} If one page is not mapped
   * @throws {XenError} If Xen refuses
   */
  protect(ranges: readonly { start: bigint; size: number }[]): number {
    return this.#change(() => {
      const writable = this.#leaves(ranges).filter(({ step }) =>
        (step.entry & entryBits.writable) !== 0n
      );
      const key = ({ address, frame }: ProtectedEntry) => `${address}:${frame}`;
      const known = new Set(this.#protected.map(key));
      for (const { address, frame } of writable) {
        const entry = { address, frame };
        if (!known.has(key(entry))) this.#protected.push(entry);
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
   *
   * @returns Number of entries that were changed
   */
  unprotect(): number {
    if (this.#protected.length === 0) {
      this.#note();
      return 0;
    }
    const refused = new Set<ProtectedEntry>();
    const changed = this.#change(() => {
      const updates = new Map<string, Change>();
      for (const protectedEntry of this.#protected) {
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
    this.#protected = [...refused];
    this.#note();
    return changed;
  }

  /**
   * Changes page-table entries while the guest stands still. What is to be
   * changed is found after the pause, so it cannot move under our hands.
   */
  #change(find: () => Change[]): number {
    if (this.#journal === undefined) {
      throw new TypeError("A guest without a journal is only looked at");
    }
    const { control } = this.#host;
    const before = this.#paused();
    // An operator may have let it run
    if (!before) this.#forgetHold();
    this.#note(before ? "working, paused before" : "working");
    control.pause(this.domain.id);
    try {
      this.refresh();
      this.assertAlive();
      let total = 0;
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        const updates = find();
        if (updates.length === 0) break;
        this.#note(before ? "working, paused before" : "working");
        total += this.#update(updates);
      }
      return total;
    } finally {
      control.unpause(this.domain.id);
      this.#note();
    }
  }

  /**
   * Changes entries at one blow, or one by one if Xen refuses that.
   *
   * @returns Number of entries that were changed
   * @throws {XenError} If Xen refuses one that may not be refused
   */
  #update(updates: readonly Change[]): number {
    const { hypercalls } = this.#host;
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

  /** `XEN_DOMINF_*`; those of a dying domain once it does not exist. */
  #flags(): number {
    const [view] = this.#host.control.domainInfoList(this.domain.id, 1);
    return view?.getUint16(domainInfo.domain, true) === this.domain.id
      ? view.getUint32(domainInfo.flags, true)
      : domainFlags.dying;
  }

  #paused(): boolean {
    return (this.#flags() & domainFlags.paused) !== 0;
  }

  #note(pause?: "working" | "working, paused before"): void {
    const attack = this.#hold === "attack";
    if (pause === undefined && !attack && this.#protected.length === 0) {
      this.#journal?.clear();
      return;
    }
    this.#journal?.write({
      uuid: this.domain.uuid,
      entries: this.#protected,
      ...(pause === undefined ? {} : { pause }),
      ...(attack ? { attack } : {}),
    });
  }

  /**
   * Pauses the guest for a closer look. It is done once, however often it is
   * asked for. Should the monitor be killed, its successor undoes one pause. It
   * is not asked whether somebody else has paused the guest: the answer would
   * be the attacker's time, and matters only for a kill between note and pause.
   */
  hold(): void {
    if (this.held) return;
    try {
      this.#journal?.hold(this.domain.uuid);
    } catch (error) {
      // A full disk must not keep an attacker going: the note is for a kill
      if (!isFull(error)) throw error;
    }
    this.#host.control.pause(this.domain.id);
    this.#hold = "look";
  }

  /**
   * Whether the guest stands still because of `hold` or `pauseForAttack`. An
   * operator's `xl unpause` ends that pause.
   */
  get held(): boolean {
    if (this.#hold === undefined) return false;
    if (this.#paused()) return true;
    const attack = this.#hold === "attack";
    this.#forgetHold();
    if (attack) this.#note();
    return false;
  }

  /** The guest is not held any more, whoever let it run. */
  #forgetHold(): void {
    this.#hold = undefined;
    this.#journal?.endHold();
  }

  /** Undoes `hold`. A pause because of an attack stays. */
  endHold(): void {
    if (this.#hold !== "look") return;
    if (this.held) this.#host.control.unpause(this.domain.id);
    this.#forgetHold();
  }

  /** Entries that `unprotect` could not make writable: Xen refused. */
  get stuck(): number {
    return this.#protected.length;
  }

  /**
   * Pauses the guest because of an attack, once. The pause stays after the
   * monitor has gone, in whatever way.
   */
  pauseForAttack(): void {
    this.hold();
    if (this.#hold === "attack") return;
    this.#hold = "attack";
    this.#note();
    this.#journal?.endHold();
  }

  /** Whether the guest stands still because of `pauseForAttack`. */
  get pausedForAttack(): boolean {
    return this.held && this.#hold === "attack";
  }

  /** Stops the guest for a reboot; its toolstack starts it again. */
  reboot(): void {
    this.#host.control.reboot(this.domain.id);
  }

  /** Destroys the guest with all that the toolstack keeps of it. */
  async destroy(): Promise<void> {
    // What is mapped would keep the dead domain's memory
    this[Symbol.dispose]();
    try {
      await destroyGuest(String(this.domain.id));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
      // A host with another toolstack than xl
      await this.#host.control.destroy(this.domain.id);
    }
  }

  /**
   * Undoes what an earlier monitor left behind, as its journal tells.
   *
   * @param release Undo also a pause because of an attack
   * @returns What was found, in words, or undefined
   */
  recover(release: boolean): string | undefined {
    const left = this.#journal?.left(this.domain.uuid);
    if (left === undefined) return undefined;
    const done: string[] = [];
    const { control } = this.#host;
    // An attack is noted before the hold is taken from the journal
    const held = left.hold === true && left.attack !== true;
    if ((left.pause !== undefined || held) && this.#paused()) {
      control.unpause(this.domain.id);
      // It may have been killed just before its own pause
      const others = left.pause === "working, paused before";
      if (others && !this.#paused()) control.pause(this.domain.id);
      else done.push("ended its pause");
    }
    if (left.attack === true && this.#paused()) {
      if (release) {
        control.unpause(this.domain.id);
        done.push("ended the pause after an attack");
      } else {
        this.#hold = "attack";
        done.push("left it paused after an attack");
      }
    }
    this.#journal?.endHold();
    this.#protected = [...left.entries];
    const entries = this.unprotect();
    if (entries > 0) done.push(`made ${entries} page-table entries writable`);
    if (this.stuck > 0) {
      done.push(
        `${this.stuck} page-table entries stay read-only, since Xen refuses to ` +
          "change them",
      );
    }
    if (left.attack !== true && this.#paused()) {
      done.push(
        "the guest is paused, and not noted by whom; to let it run: " +
          `xl unpause ${this.domain.id}`,
      );
    }
    return done.join(", ") || "found nothing to undo";
  }

  /** Gives every mapping back. Changes to the guest stay as they are. */
  [Symbol.dispose](): void {
    for (const { mapping } of this.#views.values()) mapping?.unmap();
    this.#views.clear();
    this.#tables.clear();
  }
}
