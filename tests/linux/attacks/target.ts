import { readKernelFile } from "../../../guestos/kernel_file.ts";
import { imageOfFile } from "../../../guestos/linux/image_of_file.ts";
import type { LinuxImage } from "../../../guestos/linux/linux_image.ts";
import { locateKernel } from "../../../guestos/linux/locate_kernel.ts";
import type { DomainGuest } from "../../../xen/domain_guest.ts";
import { type Domain, findDomain } from "../../../xen/domains.ts";
import { XenHost } from "../../../xen/host.ts";
import { PAGE_SIZE } from "../../../xen/layouts.ts";
import { openGuest } from "../../../xen/open_guest.ts";
import { entryBits, type WalkStep } from "../../../xen/page_walk.ts";
import type { CpuState } from "../../../guestos/cpu_state.ts";
import type { LinuxGuestType } from "../../lab/linux_guest.ts";
import { GuestControl } from "./guest_control.ts";
import { NotApplicableError } from "./not_applicable_error.ts";
import type { PlannedChange } from "./planned_change.ts";
import { WritableFrames } from "./writable_frames.ts";

/** Frame numbers that no guest of the lab uses for itself: from 2 GiB on */
const FIRST_SPARE = 0x8_0000n;
/** Bytes of what the guest itself is to write */
const WORD = 8;
/** Entries of a page table */
const SLOTS = 512;
/** Bits of an entry that are no part of the frame number */
const FLAGS = 0xfff0_0000_0000_0fffn;

/** Guest addresses that an attack changed, for what is found there. */
export interface Place {
  readonly start: bigint;
  /** Bytes */
  readonly size: number;
}

/** What is to be undone, and how to see that it is still there. */
interface Step {
  readonly undo: () => void;
  readonly isThere: () => boolean;
}

/**
 * A running Linux guest, for who writes into it from Dom0. Everything that is
 * changed can be undone.
 */
export class Target implements Disposable {
  readonly image: LinuxImage;
  readonly guest: DomainGuest<CpuState>;
  readonly type: LinuxGuestType;
  /** What was changed, as far as it has addresses */
  places: Place[] = [];
  /** What the guest says on its console once the attack is at work */
  effect: RegExp | undefined;
  /** Whether the guest must stand still as long as the attack is there */
  staysPaused = false;
  /** What would be changed, where that is all that is wanted */
  plan: PlannedChange[] = [];
  #planOnly: boolean;
  #host: XenHost;
  #domain: Domain;
  #frames: WritableFrames;
  #control: GuestControl;
  #steps: Step[] = [];
  #paused = false;
  #spares = 0;
  #stack: DisposableStack;

  private constructor(
    host: XenHost,
    domain: Domain,
    guest: DomainGuest<CpuState>,
    image: LinuxImage,
    planOnly: boolean,
    stack: DisposableStack,
  ) {
    this.#planOnly = planOnly;
    this.#host = host;
    this.#domain = domain;
    this.guest = guest;
    this.image = image;
    this.type = domain.type === "PV" ? "pv" : "pvh";
    this.#frames = stack.use(new WritableFrames(host.libraries, domain.id));
    this.#control = stack.use(new GuestControl(host, domain.id));
    this.#stack = stack;
  }

  /**
   * Opens a guest.
   *
   * @param name Its name or domain id
   * @param kernel Path of its kernel
   * @param planOnly Whether changes are only planned
   */
  static async open(
    name: string,
    kernel: string,
    planOnly = false,
  ): Promise<Target> {
    const file = await readKernelFile(kernel);
    using stack = new DisposableStack();
    const host = stack.use(new XenHost());
    const domain = findDomain(host.control, host.store, name);
    const guest = stack.use(openGuest(host, domain));
    // The page tables that it is found by are a program's, which may end
    host.control.pause(domain.id);
    let image: LinuxImage;
    try {
      guest.refresh();
      image = imageOfFile(file, locateKernel(guest).base);
      guest.useRoot(guest.frame(image.address(image.need("init_top_pgt"))));
    } finally {
      host.control.unpause(domain.id);
    }
    return new Target(host, domain, guest, image, planOnly, stack.move());
  }

  /**
   * Offset of a symbol.
   *
   * @throws {NotApplicableError} if this kernel has no such symbol.
   */
  offset(symbol: string): number {
    const offset = this.image.offset(symbol);
    if (offset !== undefined) return offset;
    throw new NotApplicableError(`this kernel has no ${symbol}`);
  }

  /** Address of a symbol, under the same condition. */
  address(symbol: string): bigint {
    return this.image.address(this.offset(symbol));
  }

  /** Bytes of a symbol: up to the next one. */
  sizeOf(symbol: string): number {
    return this.image.symbolTable.get(symbol)?.size ?? 0;
  }

  /** An unsigned number of 8 bytes in the guest's memory. */
  u64(address: bigint): bigint {
    const bytes = this.guest.read(address, 8);
    return new DataView(bytes.buffer).getBigUint64(0, true);
  }

  /** Lets the guest stand still until `release`. */
  pause(): void {
    this.#host.control.pause(this.#domain.id);
    this.#paused = true;
  }

  /** Lets it run again, if it was paused. */
  release(): void {
    if (!this.#paused) return;
    this.#host.control.unpause(this.#domain.id);
    this.#paused = false;
  }

  /** Overwrites memory, whatever the guest's page tables allow. */
  write(address: bigint, bytes: Uint8Array): void {
    const before = this.guest.read(address, bytes.length);
    if (before.toHex() === bytes.toHex()) {
      throw new Error("The guest's memory is like that already");
    }
    if (this.#planOnly) return this.#planWrite(address, bytes);
    this.places.push({ start: address, size: bytes.length });
    this.#writeMemory(address, bytes);
    this.#did({
      undo: () => this.#writeMemory(address, before),
      isThere: () =>
        this.guest.read(address, bytes.length).toHex() === bytes.toHex(),
    });
  }

  #planWrite(address: bigint, bytes: Uint8Array): void {
    const offset = Number(address % BigInt(WORD));
    const size = Math.ceil((offset + bytes.length) / WORD) * WORD;
    const start = address - BigInt(offset);
    const before = this.guest.read(start, size);
    const after = before.slice();
    after.set(bytes, offset);
    this.plan.push({
      kind: "memory",
      address: start.toString(16),
      before: before.toHex(),
      after: after.toHex(),
    });
  }

  /** Overwrites an 8-byte pointer. */
  writePointer(address: bigint, value: bigint): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    this.write(address, bytes);
  }

  #writeMemory(address: bigint, bytes: Uint8Array): void {
    for (let done = 0; done < bytes.length;) {
      const at = address + BigInt(done);
      const offset = Number(at % BigInt(PAGE_SIZE));
      const part = bytes.subarray(done, done + PAGE_SIZE - offset);
      this.#frames.write(this.guest.frame(at), offset, part);
      done += part.length;
    }
  }

  #did(step: Step): void {
    this.#steps.push(step);
    if (!step.isThere()) throw new Error("What was changed is as it was");
  }

  /** The last entry on the way to an address, and what it maps. */
  entry(address: bigint): { step: WalkStep; place: Place } {
    const walk = this.guest.walk(address);
    const step = walk.steps.at(-1);
    if (walk.kind !== "mapped" || step === undefined) {
      throw new NotApplicableError(
        `nothing is mapped at 0x${address.toString(16)}`,
      );
    }
    const size = walk.pageSize;
    return { step, place: { start: address - address % BigInt(size), size } };
  }

  /** Changes the last page-table entry on the way to an address. */
  changeEntry(address: bigint, change: (entry: bigint) => bigint): void {
    const { step, place } = this.entry(address);
    const wanted = change(step.entry);
    if (this.#planOnly) {
      this.plan.push({
        kind: "entry",
        address: address.toString(16),
        before: step.entry.toString(16),
        after: wanted.toString(16),
      });
      return;
    }
    this.places.push(place);
    this.#writeEntry(step, wanted);
    this.#did({
      undo: () => this.#writeEntry(step, step.entry),
      isThere: () => {
        const now = this.guest.walk(address).steps.at(-1)?.entry ?? 0n;
        const ignored = entryBits.accessed | entryBits.dirty;
        return ((now ^ wanted) & ~ignored) === 0n;
      },
    });
  }

  #writeEntry({ table, index }: WalkStep, entry: bigint): void {
    if (this.type === "pv") {
      // Xen lets nobody map a page table of a PV guest for writing
      this.#host.hypercalls.updateEntries(this.#domain.id, [
        { table, index, entry },
      ]);
      return;
    }
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, entry, true);
    this.#frames.write(table, index * 8, bytes);
  }

  /**
   * Lets an address lead to another page with these contents. Where a large
   * page is in the way, it is split as the kernel would.
   */
  swapPage(address: bigint, contents: Uint8Array): void {
    if (this.#planOnly) {
      throw new NotApplicableError("its page is one that Dom0 gives");
    }
    const page = address - address % BigInt(PAGE_SIZE);
    const { step, place } = this.entry(page);
    const frame = this.#spareFrame(contents);
    if (step.level === 1) {
      this.changeEntry(page, (entry) => entry & FLAGS | frame << 12n);
      return;
    }
    const first = this.guest.frame(place.start);
    const flags = step.entry & FLAGS & ~entryBits.large;
    const wanted = Number((page - place.start) / BigInt(PAGE_SIZE));
    const table = new BigUint64Array(
      Array.from(
        { length: SLOTS },
        (_, slot) =>
          (slot === wanted ? frame : first + BigInt(slot)) << 12n | flags,
      ),
    );
    const lower = this.#spareFrame(new Uint8Array(table.buffer));
    const upper = flags | entryBits.writable;
    this.#writeEntry(step, upper | lower << 12n);
    this.places.push({ start: page, size: PAGE_SIZE });
    this.#did({
      undo: () => this.#writeEntry(step, step.entry),
      isThere: () => this.guest.frame(page) === frame,
    });
  }

  /** A frame that the guest's kernel does not know of. */
  #spareFrame(contents: Uint8Array): bigint {
    const pfn = FIRST_SPARE + BigInt(this.#spares++);
    const frame = this.#control.addFrame(
      this.#domain.maxPages + this.#spares,
      pfn,
    );
    this.#frames.write(frame, 0, contents);
    this.#steps.push({
      undo: () => {
        // What we have mapped of it would keep it
        this.guest[Symbol.dispose]();
        this.#control.removeFrame(frame);
      },
      isThere: () => true,
    });
    return frame;
  }

  /**
   * Changes 8 bytes of the state of the only virtual CPU, which is a
   * `vcpu_guest_context_t` or a `struct hvm_hw_cpu`.
   *
   * @param at Offset in that structure
   */
  changeCpu(at: number, change: (value: bigint) => bigint): void {
    const now = () =>
      (this.type === "pv"
        ? this.#host.control.vcpuContext(this.#domain.id, 0)
        : this.#host.control.hvmCpu(this.#domain.id, 0))
        .getBigUint64(at, true);
    const before = now();
    const wanted = change(before);
    if (this.#planOnly) {
      this.plan.push({
        kind: "cpu",
        at,
        before: before.toString(16),
        after: wanted.toString(16),
      });
      return;
    }
    const set = (value: bigint) => {
      const put = (state: DataView) => state.setBigUint64(at, value, true);
      if (this.type === "pv") this.#control.changePvCpu(put);
      else this.#control.changeHvmCpu(put);
    };
    set(wanted);
    this.#did({ undo: () => set(before), isThere: () => now() === wanted });
  }

  /** Whether all that was changed still is. */
  get isThere(): boolean {
    return this.#steps.every(({ isThere }) => isThere());
  }

  /** Undoes everything, the last first, and lets the guest run. */
  undo(): void {
    if (!this.#paused) this.pause();
    try {
      for (let step; (step = this.#steps.pop()) !== undefined;) step.undo();
    } finally {
      this.places = [];
      this.plan = [];
      this.effect = undefined;
      this.staysPaused = false;
      this.release();
    }
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
  }
}
