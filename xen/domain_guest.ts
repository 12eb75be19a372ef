import type { CpuRegisters, CpuState } from "../guestos/cpu_state.ts";
import type { Domain } from "./domains.ts";
import { NoSuchDomainError, XenError } from "./errors.ts";
import { flagsOf } from "./flags_of.ts";
import type { XenHost } from "./host.ts";
import type { EntryUpdate } from "./hypercalls.ts";
import type { Journal, ProtectionNote } from "./journal.ts";
import { domainFlags, PAGE_SIZE } from "./layouts.ts";
import { mappedFrames } from "./mapped_frames.ts";
import { PagedGuest } from "./paged_guest.ts";
import type { Levels } from "./page_walk.ts";
import type {
  GuestListener,
  InvariantRange,
  Protection,
} from "./protection.ts";
import type { PausedGuest } from "./drop_waiting_writes.ts";
import { unlessGone } from "./unless_gone.ts";
import { decodeVcpuRegisters } from "./vcpu_registers.ts";
import { destroyGuest } from "./xl.ts";

/** Pauses of others at most that are undone for a while */
const MAX_PAUSES = 16;

/** Writes a note that can be done without, if there is room. */
function unlessFull(note: () => void): void {
  try {
    note();
  } catch (error) {
    const isFull = error instanceof Error &&
      /No space left|quota/i.test(error.message);
    if (!isFull) throw error;
  }
}

/**
 * A running domain: its virtual CPUs, its pauses and its end, whatever type it
 * is of. `refresh` looks at the guest anew, and everything else answers from
 * what it saw.
 */
export abstract class DomainGuest<C extends CpuState> extends PagedGuest {
  readonly domain: Domain;
  protected readonly host: XenHost;
  protected readonly journal: Journal | undefined;
  #cpus: readonly C[] = [];
  /** Why we have it paused */
  #hold: "look" | "attack" | undefined;

  /**
   * @param levels Paging levels of its kernel
   * @param journal Where changes to the guest are noted before they are made;
   *   without one the guest can only be looked at
   * @param own Frames of Dom0's that the guest maps, at any time
   */
  constructor(
    host: XenHost,
    domain: Domain,
    levels: Levels,
    journal: Journal | undefined,
    own?: ReadonlySet<bigint>,
  ) {
    super(host.frames.of(domain.id, own), levels);
    this.domain = domain;
    this.host = host;
    this.journal = journal;
  }

  /**
   * State of one virtual CPU as it is now.
   *
   * @throws {XenError} If Xen refuses; ENODATA for one that was never brought up
   */
  protected abstract readCpu(vcpu: number): C;

  /**
   * Keeps the guest from writing to ranges as far as it can be kept from it.
   *
   * @param listener Is told of what was stopped
   */
  abstract protect(
    ranges: readonly InvariantRange[],
    listener: GuestListener,
  ): Protection;

  /**
   * Undoes `protect`.
   *
   * @returns What was undone, in words, if anything was
   */
  abstract unprotect(): string | undefined;

  /**
   * The frames of ranges as they are mapped now, in order.
   *
   * @throws {UnreadableMemoryError} If one page is not mapped
   */
  protected framesOf(ranges: readonly InvariantRange[]): bigint[] {
    return ranges.flatMap(({ start, size }) =>
      mappedFrames(start, this.walks(start, size))
    );
  }

  /** What keeps the guest from writing now. */
  protected abstract get protection(): ProtectionNote;

  /** Takes over what an earlier monitor did. */
  protected abstract adopt(left: ProtectionNote): void;

  /** State of each virtual CPU at the last `refresh`. */
  get cpus(): readonly C[] {
    return this.#cpus;
  }

  /**
   * Registers of a virtual CPU as they are now; those of one that runs are of
   * a moment that has passed.
   *
   * @throws {XenError} If Xen refuses
   */
  registers(vcpu: number): CpuRegisters {
    const { control } = this.host;
    return decodeVcpuRegisters(
      vcpu,
      control.vcpuContext(this.domain.id, vcpu),
    );
  }

  /**
   * Reads the virtual CPUs anew.
   *
   * @throws {NoSuchDomainError} If the guest is gone
   */
  refresh(): void {
    this.looks++;
    const cpus: C[] = [];
    for (let vcpu = 0; vcpu < this.domain.maxVcpus; vcpu++) {
      try {
        cpus.push(this.readCpu(vcpu));
      } catch (error) {
        if (!(error instanceof XenError)) throw error;
        if (error.code === "ESRCH") throw this.#goneError(error);
        // A virtual CPU that was never brought up
        if (vcpu === 0 || error.code !== "ENODATA") throw error;
      }
    }
    this.#cpus = cpus;
  }

  /**
   * Makes sure that what was seen was seen of a guest.
   *
   * @throws {NoSuchDomainError} If the guest is gone or being taken apart:
   *   what its CPUs and tables say then is true of no guest
   */
  assertAlive(): void {
    const { control } = this.host;
    const flags = flagsOf(control, this.domain.id);
    if ((flags & domainFlags.dying) !== 0) throw this.#goneError();
  }

  #goneError(cause?: Error): NoSuchDomainError {
    return new NoSuchDomainError(`${this.domain.name} is gone`, { cause });
  }

  protected paused(): boolean {
    const flags = flagsOf(this.host.control, this.domain.id);
    return (flags & domainFlags.paused) !== 0;
  }

  protected note(pause?: "working" | "working, paused before"): void {
    const attack = this.#hold === "attack";
    const { protection } = this;
    const { server, events, requests, dirty, ...pages } = protection;
    const isFree = server === undefined && events === undefined &&
      requests === undefined && dirty === undefined &&
      Object.values(pages).every((list) => list.length === 0);
    if (pause === undefined && !attack && isFree) {
      this.journal?.clear();
      return;
    }
    this.journal?.write({
      uuid: this.domain.uuid,
      ...protection,
      ...(pause === undefined ? {} : { pause }),
      ...(attack ? { attack } : {}),
    });
  }

  /**
   * Does something while the guest is paused, once more if it is paused already.
   * Should this process be killed meanwhile, its successor undoes that pause.
   */
  protected whilePaused<T>(
    work: (paused: PausedGuest & { note(): void }) => T,
  ): T {
    const { control } = this.host;
    return this.notingPause((wasPaused, note) => {
      control.pause(this.domain.id);
      const letRun = (work: () => void) => this.#whileRunning(work);
      try {
        return work({ wasPaused, letRun, note });
      } finally {
        // An operator may have let it run
        unlessGone(() => control.unpause(this.domain.id));
      }
    });
  }

  /**
   * Does something that pauses the guest, once, and lets it run again. Should
   * this process be killed meanwhile, its successor undoes that pause.
   */
  protected notingPause<T>(
    work: (wasPaused: boolean, note: () => void) => T,
  ): T {
    const wasPaused = this.paused();
    // An operator may have let it run
    if (!wasPaused) this.forgetHold();
    const note = () =>
      this.note(wasPaused ? "working, paused before" : "working");
    unlessFull(note);
    try {
      return work(wasPaused, note);
    } finally {
      this.note();
    }
  }

  /** Lets the guest run that is paused, and undoes that. */
  #whileRunning(work: () => void): void {
    const { control } = this.host;
    const { id } = this.domain;
    let undone = 0;
    try {
      while (undone < MAX_PAUSES && this.paused()) {
        unlessGone(() => control.unpause(id));
        undone++;
      }
      work();
    } finally {
      // One is ours, even if an operator has undone it
      for (let pause = 0; pause < Math.max(undone, 1); pause++) {
        control.pause(id);
      }
    }
  }

  /**
   * Pauses the guest for a closer look. It is done once, however often it is
   * asked for. Should the monitor be killed, its successor undoes one pause. It
   * is not asked whether somebody else has paused the guest: the answer would
   * be the attacker's time, and matters only for a kill between note and pause.
   */
  hold(): void {
    if (this.held) return;
    // A full disk must not keep an attacker going: the note is for a kill
    unlessFull(() => this.journal?.hold(this.domain.uuid));
    this.host.control.pause(this.domain.id);
    // What was mapped before may be mapped otherwise by now
    this.looks++;
    this.#hold = "look";
  }

  /**
   * Whether the guest stands still because of `hold` or `pauseForAttack`. An
   * operator's `xl unpause` ends that pause.
   */
  get held(): boolean {
    if (this.#hold === undefined) return false;
    if (this.paused()) return true;
    const attack = this.#hold === "attack";
    this.forgetHold();
    if (attack) this.note();
    return false;
  }

  /** The guest is not held any more, whoever let it run. */
  protected forgetHold(): void {
    this.#hold = undefined;
    this.journal?.endHold();
  }

  /** Undoes `hold`. A pause because of an attack stays. */
  endHold(): void {
    if (this.#hold !== "look") return;
    if (this.held) this.host.control.unpause(this.domain.id);
    this.forgetHold();
  }

  /** Entries that `unprotect` could not make writable: Xen refused. */
  get stuck(): number {
    const { entries, locked = [] } = this.protection;
    return entries.length + locked.length;
  }

  /**
   * Pauses the guest because of an attack, once. The pause stays after the
   * monitor has gone, in whatever way.
   */
  pauseForAttack(): void {
    this.hold();
    if (this.#hold === "attack") return;
    this.#hold = "attack";
    this.note();
    this.journal?.endHold();
  }

  /** Whether the guest stands still because of `pauseForAttack`. */
  get pausedForAttack(): boolean {
    return this.held && this.#hold === "attack";
  }

  /** Lets the guest run that `pauseForAttack` has stopped. */
  resume(): void {
    if (this.#hold === undefined) return;
    if (this.held) this.host.control.unpause(this.domain.id);
    this.forgetHold();
    this.note();
  }

  /**
   * Writes into the guest's memory through its page tables as they are now,
   * whatever they permit. It must stand still.
   *
   * @throws {UnreadableMemoryError} If one page is not mapped
   * @throws {RangeError} If Xen refuses a page
   */
  writeMemory(address: bigint, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      const at = address + BigInt(done);
      const offset = Number(at % BigInt(PAGE_SIZE));
      const part = bytes.subarray(done, done + PAGE_SIZE - offset);
      this.writeFrame(this.frame(at), offset, part);
      done += part.length;
    }
  }

  /**
   * Writes within one frame.
   *
   * @param owner Id of the domain whose frame it is
   */
  protected writeFrame(
    frame: bigint,
    offset: number,
    bytes: Uint8Array,
    owner = this.domain.id,
  ): void {
    using mapping = this.host.frames.mapWritable(owner, [frame]);
    new Uint8Array(mapping.bytes).set(bytes, offset);
  }

  /**
   * Replaces entries of the guest's page tables. It must stand still.
   *
   * @throws {Error} If Xen refuses one; those before it are done
   */
  abstract writeEntries(updates: readonly EntryUpdate[]): void;

  /** Stops the guest for a reboot; its toolstack starts it again. */
  reboot(): void {
    this.host.control.reboot(this.domain.id);
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
      await this.host.control.destroy(this.domain.id);
    }
  }

  /**
   * Undoes what an earlier monitor left behind, as its journal tells.
   *
   * @param release Undo also a pause because of an attack
   * @returns What was found, in words, or undefined
   */
  recover(release: boolean): string | undefined {
    const left = this.journal?.left(this.domain.uuid);
    if (left === undefined) return undefined;
    const done: string[] = [];
    const { control } = this.host;
    // An attack is noted before the hold is taken from the journal
    const held = left.hold === true && left.attack !== true;
    const ended = (left.pause !== undefined || held) && this.paused();
    if (ended) control.unpause(this.domain.id);
    // It may have been killed just before its own pause, or while it let it run
    const others = left.pause === "working, paused before";
    if (others && !this.paused()) control.pause(this.domain.id);
    else if (ended) done.push("ended its pause");
    if (left.attack === true && this.paused()) {
      if (release) {
        control.unpause(this.domain.id);
        done.push("ended the pause after an attack");
      } else {
        this.#hold = "attack";
        done.push("left it paused after an attack");
      }
    }
    this.journal?.endHold();
    this.adopt(left);
    const undone = this.unprotect();
    if (undone !== undefined) done.push(undone);
    if (this.stuck > 0) {
      done.push(
        `${this.stuck} page-table entries stay read-only, since Xen refuses to ` +
          "change them",
      );
    }
    if (left.attack !== true && this.paused()) {
      done.push(
        "the guest is paused, and not noted by whom; to let it run: " +
          `xl unpause ${this.domain.id}`,
      );
    }
    return done.join(", ") || "found nothing to undo";
  }
}
