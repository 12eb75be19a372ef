import {
  type MappedRanges,
  UnreadableMemoryError,
} from "../../guestos/memory.ts";
import type { LookDepth } from "../../xen/look_depth.ts";
import type { AliasScan } from "../../xen/aliases.ts";
import type { EntryUpdate } from "../../xen/hypercalls.ts";
import type { Mapped, NotMapped, WalkStep } from "../../xen/page_walk.ts";
import {
  type CpuRegisters,
  type PvCpuState,
  registerNames,
} from "../../guestos/cpu_state.ts";
import type {
  GuestListener,
  InvariantRange,
  Protection,
  RegisterListener,
  StoppedWrite,
} from "../../xen/protection.ts";
import type { GuardedGuest } from "../guard.ts";
import { PAGE_SIZE } from "../guest.ts";

const PRESENT = 1n;
const WRITABLE = 2n;
const NO_EXECUTE = 1n << 63n;
const FLAGS = PRESENT | WRITABLE;
const FRAME_SHIFT = 12n;

/** Frames of the tables above the last level, from the root down */
const TABLES = [1n, 2n, 3n, 4n] as const;

function frameOf(entry: bigint): bigint {
  return BigInt.asUintN(52, entry) >> FRAME_SHIFT;
}

/** Index of a page's entry in the last table, which is one for all pages. */
function indexOf(address: bigint): number {
  return Number(address / BigInt(PAGE_SIZE));
}

/**
 * A guest in memory for the tests: 4 KiB pages, one last-level entry a page,
 * the tables above them shared by all. What an attacker can do to a guest is a
 * method; what xkmon does to it is told by `calls`.
 */
export class SyntheticGuest implements GuardedGuest {
  readonly domain = {
    id: 7,
    name: "synthetic",
    uuid: "00000000-0000-4000-8000-000000000007",
  };
  /** Whether it says of what may be locked that it is */
  locks = false;
  /** Whether the toolstack asks something of it, so that nothing is locked */
  asked = false;
  cpus: PvCpuState[] = [{
    kind: "pv",
    vcpu: 0,
    root: TABLES[0],
    ip: 0n,
    traps: [],
    callbacks: { event: 0n, failsafe: 0n, syscall: 0n },
  }];
  registerValues: Partial<CpuRegisters["values"]> = {};
  /** `pause`, `unpause`, `protect` and so on, in order */
  readonly calls: string[] = [];
  /** Whether every table could be searched for aliases */
  complete = true;
  /** Who wants to know of writes that did not land */
  stopped: (write: StoppedWrite) => void = () => {};
  /** Who wants to know of all else */
  listener: GuestListener | undefined;
  /** Whether the last look was to compare what was not written to as well */
  isFull = false;
  /** Whether it can have the guard asked before registers change */
  watchesRegisters = false;
  /** Who is asked before registers change, if anybody wants to be */
  registerListener: RegisterListener | undefined;
  /** Called before each look at the guest, with its number from 1 */
  beforeLook: (count: number) => void = () => {};
  /** Entries of the tables above the last level, from the root down */
  readonly upperEntries = TABLES.slice(1).map((table) =>
    table << FRAME_SHIFT | FLAGS
  );

  #looks = 0;
  #nextFrame = 0x100n;
  #frames = new Map<bigint, Uint8Array<ArrayBuffer>>();
  /** By page address */
  #entries = new Map<bigint, bigint>();
  /** By index in the last table, the page that its entry is of */
  #pages = new Map<number, bigint>();
  #protected: bigint[] = [];
  #paused = false;
  #attacked = false;

  /**
   * Maps pages with contents of their own.
   *
   * @param address Page aligned
   * @param bytes A multiple of the page size
   * @param writable Whether the guest may write them
   */
  map(address: bigint, bytes: Uint8Array, writable = true): void {
    for (let at = 0; at < bytes.length; at += PAGE_SIZE) {
      const frame = this.#nextFrame++;
      this.#frames.set(frame, bytes.slice(at, at + PAGE_SIZE));
      this.mapFrame(address + BigInt(at), frame, writable);
    }
  }

  /** Maps one page to a frame that is there already. */
  mapFrame(address: bigint, frame: bigint, writable = true): void {
    this.#pages.set(indexOf(address), address);
    this.#entries.set(
      address,
      frame << FRAME_SHIFT | PRESENT | (writable ? WRITABLE : 0n),
    );
  }

  /** Takes one page away. */
  unmap(address: bigint): void {
    this.#entries.delete(address);
  }

  /** The last-level entry of a page. */
  entry(address: bigint): bigint {
    return this.#entries.get(address) ?? 0n;
  }

  /** Replaces the last-level entry of a page. */
  setEntry(address: bigint, entry: bigint): void {
    this.#entries.set(address, entry);
  }

  /** Frame of a page; as with a true guest, one that is there. */
  frame(address: bigint): bigint {
    const entry = this.entry(address);
    if ((entry & PRESENT) === 0n) {
      throw new UnreadableMemoryError(address, "not-present");
    }
    return frameOf(entry);
  }

  /** Writes into one page whatever its entry permits, as Xen can. */
  write(address: bigint, bytes: readonly number[]): void {
    const { page, offset } = this.#locate(address);
    page.set(bytes, offset);
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** An operator lets the guest run. */
  letRun(): void {
    this.#paused = false;
    this.#attacked = false;
  }

  assertAlive(): void {}

  refresh(depth: LookDepth = "cpus"): void {
    this.isFull = depth === "full";
    this.beforeLook(++this.#looks);
  }

  read(address: bigint, length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    for (let at = 0; at < length;) {
      const { page, offset } = this.#locate(address + BigInt(at));
      const part = page.subarray(offset, offset + length - at);
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  readInto(address: bigint, bytes: Uint8Array): void {
    bytes.set(this.read(address, bytes.length));
  }

  compare(start: bigint, trusted: Uint8Array<ArrayBuffer>): number[] {
    const found = this.read(start, trusted.length);
    return Array.from({ length: trusted.length / PAGE_SIZE }, (_, page) => page)
      .filter((page) => {
        const from = page * PAGE_SIZE;
        return found.subarray(from, from + PAGE_SIZE).some((byte, at) =>
          byte !== trusted[from + at]
        );
      });
  }

  useRoot(): void {}

  mapped(
    start: bigint,
    end: bigint,
    onlyExecutable = false,
  ): MappedRanges {
    const ranges = [...this.#entries].filter(([address, entry]) =>
      address >= start && address < end && (entry & PRESENT) !== 0n &&
      (!onlyExecutable || (entry & NO_EXECUTE) === 0n)
    ).map(([address, entry]) => ({
      start: address,
      size: BigInt(PAGE_SIZE),
      writable: (entry & WRITABLE) !== 0n,
      executable: (entry & NO_EXECUTE) === 0n,
    }));
    return { ranges, complete: this.complete };
  }

  walks(start: bigint, size: number): readonly (Mapped | NotMapped)[] {
    return Array.from(
      { length: size / PAGE_SIZE },
      (_, page) => this.#walk(start + BigInt(page * PAGE_SIZE)),
    );
  }

  walk(address: bigint): Mapped | NotMapped {
    return this.#walk(address - address % BigInt(PAGE_SIZE));
  }

  /** Every register holds what `registerValues` says, else 0. */
  registers(vcpu: number): CpuRegisters {
    const values = Object.fromEntries(
      registerNames.map((name) => [name, this.registerValues[name] ?? 0n]),
    );
    return { vcpu, values: values as CpuRegisters["values"] };
  }

  trustedCopy(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
    return new Uint8Array(bytes);
  }

  aliases(frames: ReadonlySet<bigint>): AliasScan {
    const aliases = [...this.#entries].map(([address, entry]) => ({
      address,
      frame: frameOf(entry),
      writable: (entry & WRITABLE) !== 0n,
      step: this.#lastStep(address),
    })).filter(({ frame }) => frames.has(frame));
    return { aliases, complete: this.complete };
  }

  /** As a guest does whose page-table entries are made read-only. */
  protect(
    ranges: readonly InvariantRange[],
    listener: GuestListener,
  ): Protection {
    this.stopped = (write) => listener.stopped(write);
    this.listener = listener;
    if (this.watchesRegisters) this.registerListener = listener.registers;
    const registers = this.registerListener !== undefined;
    if (!ranges.every(({ rungs }) => rungs.includes("protect"))) {
      return { rungs: ranges.map(() => "poll"), entries: 0, registers };
    }
    this.calls.push("protect");
    const frames = new Set(
      ranges.flatMap(({ start, size }) =>
        Array.from({ length: size / PAGE_SIZE }, (_, page) => {
          const address = start + BigInt(page * PAGE_SIZE);
          this.#locate(address);
          return this.frame(address);
        })
      ),
    );
    const { aliases } = this.aliases(frames);
    const changed = aliases.filter(({ writable }) => writable);
    for (const { address } of changed) {
      this.#entries.set(address, this.entry(address) & ~WRITABLE);
      this.#protected.push(address);
    }
    return {
      rungs: ranges.map(({ rungs }) =>
        this.locks && !this.asked && rungs.includes("lock") ? "lock" : "protect"
      ),
      entries: changed.length,
      registers,
      ...(this.asked ? { refused: "asked to suspend", asked: true } : {}),
    };
  }

  unprotect(): string | undefined {
    this.calls.push("unprotect");
    for (const address of this.#protected) {
      this.#entries.set(address, this.entry(address) | WRITABLE);
    }
    const { length } = this.#protected.splice(0);
    return length === 0 ? undefined : `${length} are writable again`;
  }

  hold(): void {
    if (this.#paused) return;
    this.calls.push("pause");
    this.#paused = true;
  }

  get held(): boolean {
    return this.#paused;
  }

  endHold(): void {
    if (!this.#paused || this.#attacked) return;
    this.calls.push("unpause");
    this.#paused = false;
  }

  pauseForAttack(): void {
    this.hold();
    this.#attacked = true;
  }

  get pausedForAttack(): boolean {
    return this.#paused && this.#attacked;
  }

  resume(): void {
    if (!this.#paused) return;
    this.calls.push("resume");
    this.letRun();
  }

  /** As xkmon writes, which asks for no permission. */
  writeMemory(address: bigint, bytes: Uint8Array): void {
    this.calls.push(`write ${address.toString(16)} ${bytes.toHex()}`);
    for (const [at, byte] of bytes.entries()) {
      this.write(address + BigInt(at), [byte]);
    }
  }

  writeEntries(updates: readonly EntryUpdate[]): void {
    this.calls.push(`entries ${updates.length}`);
    for (const { table, index, entry } of updates) {
      const depth = TABLES.findIndex((frame) => frame === table);
      if (depth === TABLES.length - 1) {
        this.setEntry(this.#pages.get(index)!, entry);
      } else this.upperEntries[depth] = entry;
    }
  }

  reboot(): void {
    this.calls.push("reboot");
  }

  destroy(): Promise<void> {
    this.calls.push("destroy");
    return Promise.resolve();
  }

  #locate(address: bigint): { page: Uint8Array; offset: number } {
    const offset = Number(address % BigInt(PAGE_SIZE));
    const page = this.#frames.get(this.frame(address - BigInt(offset)));
    if (page === undefined) {
      throw new UnreadableMemoryError(address, "not-present");
    }
    return { page, offset };
  }

  #lastStep(address: bigint): WalkStep {
    return {
      level: 1,
      table: TABLES[3],
      index: indexOf(address),
      entry: this.entry(address),
    };
  }

  #walk(address: bigint): Mapped | NotMapped {
    const last = this.#lastStep(address);
    const steps = [
      ...this.upperEntries.map((entry, depth) => ({
        level: 4 - depth,
        table: TABLES[depth]!,
        index: 511,
        entry,
      })),
      last,
    ];
    if ((last.entry & PRESENT) === 0n) return { kind: "not-present", steps };
    return {
      kind: "mapped",
      frame: frameOf(last.entry),
      pageSize: PAGE_SIZE,
      writable: steps.every(({ entry }) => (entry & WRITABLE) !== 0n),
      user: false,
      executable: true,
      steps,
    };
  }
}
