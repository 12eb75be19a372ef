import type { HvmCpuState } from "../guestos/cpu_state.ts";
import { DomainGuest } from "./domain_guest.ts";
import type { Domain } from "./domains.ts";
import { endWriteGate } from "./end_write_gate.ts";
import { NoSuchDomainError, XenError } from "./errors.ts";
import type { EventLoop } from "./event_loop.ts";
import type { XenHost } from "./host.ts";
import { decodeHvmCpu } from "./hvm_cpu.ts";
import type { Journal, ProtectionNote } from "./journal.ts";
import { mappedFrames } from "./mapped_frames.ts";
import type { Levels } from "./page_walk.ts";
import type {
  InvariantRange,
  Protection,
  Rung,
  StoppedWrite,
  WriteListener,
} from "./protection.ts";
import type { GatedWrite } from "./gate_requests.ts";
import { WriteGate } from "./write_gate.ts";
import { endWriteTrap, WriteTrap } from "./write_trap.ts";

const CR4_LA57 = 1n << 12n;

/** Paging levels of a kernel, as its first virtual CPU has them. */
function levelsOf(host: XenHost, { id, name }: Domain): Levels {
  try {
    const { cr4 } = decodeHvmCpu(0, host.control.hvmCpu(id, 0));
    return (cr4 & CR4_LA57) === 0n ? 4 : 5;
  } catch (error) {
    const isGone = error instanceof XenError && error.code === "ESRCH";
    if (!isGone) throw error;
    throw new NoSuchDomainError(`${name} is gone`, { cause: error });
  }
}

/** A guest with hardware virtualization, PVH or HVM, with a 64-bit kernel. */
export class HvmGuest extends DomainGuest<HvmCpuState> {
  #loop: EventLoop | undefined;
  #trap: WriteTrap | undefined;
  #gate: WriteGate | undefined;
  /** Guest frames that the gate closes */
  #gated: readonly bigint[] = [];
  /** What keeps the guest from writing because of us */
  #trapped: readonly bigint[] = [];
  #server: number | undefined;
  #readOnly: readonly bigint[] = [];

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

  protected override readCpu(vcpu: number): HvmCpuState {
    return decodeHvmCpu(vcpu, this.host.control.hvmCpu(this.domain.id, vcpu));
  }

  #frames(ranges: readonly InvariantRange[]): bigint[] {
    return ranges.flatMap(({ start, size }) =>
      mappedFrames(start, this.walks(start, size))
    );
  }

  /**
   * Has writes trapped or, where the processor cannot, lets those to data go to
   * a write gate and those to code be discarded, which are not told. What Xen
   * refuses stays as it is.
   *
   * @throws {UnreadableMemoryError} If one page is not mapped
   */
  override protect(
    ranges: readonly InvariantRange[],
    listener: WriteListener,
  ): Protection {
    const rungs: Rung[] = ranges.map(() => "poll");
    let refused: string | undefined;
    for (const rung of ["trap", "gate"] as const) {
      const bears = (range: InvariantRange, index: number) =>
        rungs[index] === "poll" && range.rungs.includes(rung);
      const wanted = ranges.filter(bears);
      if (wanted.length === 0 || this.#loop === undefined) continue;
      try {
        if (rung === "trap") this.#trapWrites(wanted, listener);
        else this.#gateWrites(wanted, listener);
        ranges.forEach((range, index) => {
          if (bears(range, index)) rungs[index] = rung;
        });
      } catch (error) {
        const isRefusal = error instanceof RangeError ||
          error instanceof XenError && error.code !== "ESRCH";
        if (!isRefusal) throw error;
        refused = error.message;
        if (rung === "trap") this.#endTrap();
        else this.#endGate();
      }
    }
    return {
      rungs,
      entries: 0,
      ...(refused === undefined || !rungs.includes("poll") ? {} : { refused }),
    };
  }

  #trapWrites(
    ranges: readonly InvariantRange[],
    listener: WriteListener,
  ): void {
    this.#trapped = this.#frames(ranges);
    this.note();
    this.#trap ??= new WriteTrap(this.host, this.#loop!, this.domain, listener);
    this.#trap.close(this.#trapped);
  }

  #gateWrites(
    ranges: readonly InvariantRange[],
    listener: WriteListener,
  ): void {
    const data = this.#frames(ranges.filter(({ kind }) => kind === "data"));
    const code = this.#frames(ranges.filter(({ kind }) => kind === "code"));
    if (data.length > 0) this.#close(data, listener);
    if (code.length > 0) this.#makeReadOnly(code);
  }

  #close(
    frames: readonly bigint[],
    listener: WriteListener,
  ): void {
    this.#gate ??= new WriteGate(
      this.host,
      this.#loop!,
      this.domain,
      (server) => {
        this.#server = server;
        this.note();
      },
      (write) => listener.stopped(this.#describe(write)),
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

  #describe({ vcpu, address, size, count, data }: GatedWrite): StoppedWrite {
    const { ip } = this.readCpu(vcpu);
    const whole = count === 1 && data !== undefined && size <= 8;
    const bytes = new Uint8Array(8);
    if (whole) new DataView(bytes.buffer).setBigUint64(0, data, true);
    return {
      vcpu,
      ip,
      frame: address >> 12n,
      offset: Number(address & 0xfffn),
      size: size * count,
      ...(whole ? { data: bytes.subarray(0, size) } : {}),
    };
  }

  /** Lets the guest write to every page again. */
  override unprotect(): string | undefined {
    const pages = this.#trapped.length + this.#gated.length +
      this.#readOnly.length;
    const hadGate = this.#server !== undefined;
    this.#endTrap();
    this.#endGate();
    if (pages > 0) return `${pages} pages are writable again`;
    return hadGate ? "its write gate is open" : undefined;
  }

  #endTrap(): void {
    if (this.#trap !== undefined) this.#trap[Symbol.dispose]();
    else if (this.#trapped.length > 0) {
      endWriteTrap(this.host, this.domain, this.#trapped);
    }
    this.#trap = undefined;
    this.#trapped = [];
    this.note();
  }

  #endGate(): void {
    if (this.#gate !== undefined) this.#gate[Symbol.dispose]();
    else if (this.#server !== undefined) {
      endWriteGate(this.host, this.domain, this.#server);
    }
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

  /** Gives every mapping back, and trap and gate of a guest that is gone. */
  override [Symbol.dispose](): void {
    this.#trap?.[Symbol.dispose]();
    this.#trap = undefined;
    this.#gate?.[Symbol.dispose]();
    this.#gate = undefined;
    super[Symbol.dispose]();
  }

  protected override get protection(): ProtectionNote {
    return {
      entries: [],
      ...(this.#trapped.length === 0 ? {} : { trapped: this.#trapped }),
      ...(this.#server === undefined ? {} : { server: this.#server }),
      ...(this.#readOnly.length === 0 ? {} : { readOnly: this.#readOnly }),
    };
  }

  protected override adopt(
    { trapped = [], server, readOnly = [] }: ProtectionNote,
  ): void {
    this.#trapped = trapped;
    this.#server = server;
    this.#readOnly = readOnly;
  }
}
