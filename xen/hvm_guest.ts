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
import type { InvariantRange, Protection, StoppedWrite } from "./protection.ts";
import type { GatedWrite } from "./gate_requests.ts";
import { WriteGate } from "./write_gate.ts";

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
  #gate: WriteGate | undefined;
  /** Guest frames that the gate closes */
  #gated: readonly bigint[] = [];
  /** What keeps the guest from writing because of us */
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
   * Lets writes to data go to a write gate, and has writes to code discarded,
   * which are not told. What Xen refuses stays as it is.
   *
   * @throws {UnreadableMemoryError} If one page is not mapped
   */
  override protect(
    ranges: readonly InvariantRange[],
    _bearsReadOnly: boolean,
    stopped: (write: StoppedWrite) => void,
  ): Protection {
    const rungs = ranges.map(({ sealable }) =>
      sealable && this.#loop !== undefined ? "gate" as const : "poll" as const
    );
    const wanted = ranges.filter((_, index) => rungs[index] === "gate");
    const data = this.#frames(wanted.filter(({ kind }) => kind === "data"));
    const code = this.#frames(wanted.filter(({ kind }) => kind === "code"));
    try {
      if (data.length > 0) this.#close(data, stopped);
      if (code.length > 0) this.#makeReadOnly(code);
      return { rungs, entries: 0 };
    } catch (error) {
      if (!(error instanceof XenError) || error.code === "ESRCH") throw error;
      this.unprotect();
      return {
        rungs: ranges.map(() => "poll"),
        entries: 0,
        refused: error.message,
      };
    }
  }

  #close(
    frames: readonly bigint[],
    stopped: (write: StoppedWrite) => void,
  ): void {
    this.#gate ??= new WriteGate(
      this.host,
      this.#loop!,
      this.domain,
      (server) => {
        this.#server = server;
        this.note();
      },
      (write) => stopped(this.#describe(write)),
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
    const pages = this.#gated.length + this.#readOnly.length;
    const { id } = this.domain;
    const hadGate = this.#server !== undefined;
    if (this.#gate !== undefined) this.#gate[Symbol.dispose]();
    else if (this.#server !== undefined) {
      endWriteGate(this.host, this.domain, this.#server);
    }
    this.#gate = undefined;
    this.#server = undefined;
    this.#gated = [];
    if (this.#readOnly.length > 0) {
      this.host.deviceModel.setMemoryType(id, this.#readOnly, "writable");
      this.#readOnly = [];
    }
    this.note();
    if (pages > 0) return `${pages} pages are writable again`;
    return hadGate ? "its write gate is open" : undefined;
  }

  /** Gives every mapping back, and the gate of a guest that is gone. */
  override [Symbol.dispose](): void {
    this.#gate?.[Symbol.dispose]();
    this.#gate = undefined;
    super[Symbol.dispose]();
  }

  protected override get protection(): ProtectionNote {
    return {
      entries: [],
      ...(this.#server === undefined ? {} : { server: this.#server }),
      ...(this.#readOnly.length === 0 ? {} : { readOnly: this.#readOnly }),
    };
  }

  protected override adopt({ server, readOnly = [] }: ProtectionNote): void {
    this.#server = server;
    this.#readOnly = readOnly;
  }
}
