import { constants } from "./constants.ts";
import { LibraryError, XenError } from "./errors.ts";
import { xenctrl } from "./ffi.ts";
import type { HypercallBuffer } from "./hypercall_buffer.ts";
import {
  domainInfo,
  domctl,
  hvmCpu,
  PAGE_SIZE,
  vcpuContext,
  vcpuInfo,
} from "./layouts.ts";
import { type Libraries, missing, openEach, sonames } from "./libraries.ts";

/** Bytes of the state of a virtual CPU; those of 4.22 are about 1100 */
const MAX_HVM_CPU = 4096;

/** Error numbers (errno.h) for what Xen tells without one */
const ENOMEM = 12;
const EINVAL = 22;
const ESRCH = 3;

/** The thread's error number after a library call that failed. */
export function errno(libraries: Libraries): number {
  const location = libraries.libc.symbols.__errno_location();
  return new Deno.UnsafePointerView(location!).getInt32();
}

function noDom0(error: XenError): LibraryError {
  return new LibraryError(
    `This is no Xen Dom0, or its privcmd driver is not loaded: ${error.message}`,
    { cause: error },
  );
}

/** What a guest may do with a page before it is told (public/memory.h). */
const pageAccesses = {
  "r-x": constants.XENMEM_access_rx,
  "rwx": constants.XENMEM_access_rwx,
} as const;

/** Bits of a byte: a log has one for each frame */
const BYTE = 8;
/** Bytes of a `struct xen_domctl`; that of 4.22 has less than 300 */
const DOMCTL_ROOM = 1024;

/** A domctl, for `xc_domctl`, without what is particular to its command. */
function domctlRequest(command: number, domain: number): DataView<ArrayBuffer> {
  const request = new DataView(new ArrayBuffer(DOMCTL_ROOM));
  request.setUint32(domctl.cmd, command, true);
  request.setUint16(domctl.domain, domain, true);
  return request;
}

/** Control registers whose writes can be told (public/vm_event.h). */
const controlRegisters = {
  cr0: constants.VM_EVENT_X86_CR0,
  cr4: constants.VM_EVENT_X86_CR4,
} as const;
export type ControlRegister = keyof typeof controlRegisters;

/** The page on which a guest's events come. */
export interface RingPage extends Disposable {
  readonly bytes: ArrayBuffer;
  /** Port of their channel, on the guest's side */
  readonly port: number;
}

/**
 * The domain control interface: libxenctrl of the release that runs.
 *
 * Where the libraries of several releases are installed, the one that the
 * hypervisor answers is taken.
 */
export class XenControl implements Disposable {
  /** Path or soname of the libxenctrl in use */
  readonly library: string;
  /** Bytes of one `xc_domaininfo_t` of this library */
  readonly domainInfoSize: number;

  #library: Deno.DynamicLibrary<typeof xenctrl>;
  #handle: Deno.PointerValue;
  #libraries: Libraries;

  /**
   * @param names Sonames or paths of libxenctrl, tried in order
   * @throws {LibraryError} If no libxenctrl is there or none fits this Xen
   * @throws {XenError} If Xen refuses this process
   */
  constructor(
    libraries: Libraries,
    names: readonly string[] = sonames.xenctrl,
  ) {
    this.#libraries = libraries;
    const probe = new Uint8Array(domainInfo.sizes[1]);
    const refused: string[] = [];
    const unfit: LibraryError[] = [];
    for (const { name, library } of openEach(names, xenctrl, unfit)) {
      const handle = library.symbols.xc_interface_open(
        libraries.logger,
        libraries.logger,
        0,
      );
      if (handle === null) {
        const error = new XenError("xc_interface_open", errno(libraries));
        library.close();
        throw noDom0(error);
      }
      const count = library.symbols.xc_domain_getinfolist(handle, 0, 1, probe);
      if (count === 1) {
        this.library = name;
        this.#library = library;
        this.#handle = handle;
        this.domainInfoSize = this.#measureDomainInfo();
        return;
      }
      const error = new XenError("xc_domain_getinfolist", errno(libraries));
      library.symbols.xc_interface_close(handle);
      library.close();
      // EACCES: made for another domctl version
      if (error.code === "EPERM") throw noDom0(error);
      if (error.code !== "EACCES") throw error;
      refused.push(name);
    }
    if (refused.length === 0) throw missing(names);
    // One of those could be of the release that runs
    const also = unfit[0] === undefined ? "" : `; ${unfit[0].message}`;
    throw new LibraryError(
      `Xen does not answer ${refused.join(", ")}: install the Xen libraries ` +
        `of the release that runs (xl info | grep xen_version)${also}`,
    );
  }

  /**
   * The library copies whole structures: how far it wrote is how large one is.
   * Two fillings tell a byte that was written from one that was left alone.
   */
  #measureDomainInfo(): number {
    const [small, large] = domainInfo.sizes;
    for (const filling of [0xa5, 0x5a]) {
      const probe = new Uint8Array(large).fill(filling);
      this.#check(
        "xc_domain_getinfolist",
        this.#library.symbols.xc_domain_getinfolist(this.#handle, 0, 1, probe),
      );
      if (probe.subarray(small).some((byte) => byte !== filling)) return large;
    }
    return small;
  }

  #check(call: string, result: number): number {
    if (result < 0) throw new XenError(call, errno(this.#libraries));
    return result;
  }

  /**
   * Begins to tell what happens in a guest: makes a ring and its channel.
   *
   * @throws {XenError} If Xen refuses: EINVAL or EOPNOTSUPP for a PV guest,
   *   EBUSY if another process listens, or one that died did
   */
  enableMonitor(domain: number): RingPage {
    const port = new Uint32Array(1);
    const page = this.#library.symbols.xc_monitor_enable(
      this.#handle,
      domain,
      new Uint8Array(port.buffer),
    );
    if (page === null) {
      throw new XenError("xc_monitor_enable", errno(this.#libraries));
    }
    const { munmap } = this.#libraries.libc.symbols;
    return {
      bytes: Deno.UnsafePointerView.getArrayBuffer(page, PAGE_SIZE),
      port: port[0]!,
      [Symbol.dispose]: () => void munmap(page, BigInt(PAGE_SIZE)),
    };
  }

  /**
   * Tells nothing any more. What pages allow stays, and so does a virtual CPU
   * that waits for an answer.
   *
   * @throws {XenError} If Xen refuses: EBUSY while the ring is full
   */
  disableMonitor(domain: number): void {
    const { xc_monitor_disable } = this.#library.symbols;
    this.#check(
      "xc_monitor_disable",
      xc_monitor_disable(this.#handle, domain),
    );
  }

  /**
   * Which events of a guest Xen can tell, as bits
   * (`1 << XEN_DOMCTL_MONITOR_EVENT_*`). Asking changes nothing.
   *
   * @throws {XenError} If Xen refuses: it may be built without events
   */
  monitorCapabilities(domain: number): number {
    const capabilities = new Uint32Array(1);
    this.#check(
      "xc_monitor_get_capabilities",
      this.#library.symbols.xc_monitor_get_capabilities(
        this.#handle,
        domain,
        new Uint8Array(capabilities.buffer),
      ),
    );
    return capabilities[0]!;
  }

  /**
   * Lets answers to events say what registers become.
   *
   * @throws {XenError} If Xen refuses
   */
  controlRegisterValues(domain: number): void {
    const request = domctlRequest(constants.XEN_DOMCTL_monitor_op, domain);
    request.setUint32(
      domctl.op,
      constants.XEN_DOMCTL_MONITOR_OP_CONTROL_REGISTERS,
      true,
    );
    this.#domctl(request);
  }

  #domctl(request: DataView<ArrayBuffer>): void {
    const bytes = new Uint8Array(request.buffer);
    this.#check(
      "xc_domctl",
      this.#library.symbols.xc_domctl(this.#handle, bytes),
    );
  }

  /**
   * Begins to log which frames a PVH or HVM guest writes to.
   *
   * @throws {XenError} If Xen refuses: EINVAL if it is logged already or the
   *   guest has a device of the host, EBUSY while pages are gated
   */
  startDirtyLog(domain: number): void {
    this.#logOp(domain, constants.XEN_DOMCTL_SHADOW_OP_ENABLE_LOGDIRTY);
  }

  /**
   * Reads the log of what a guest writes: one bit for each guest frame. The log
   * stays as it is. Where there is none, Xen says that nothing was written.
   *
   * @param bitmap Where to put it
   * @throws {XenError} If Xen refuses: ENOMEM if it could not log all
   */
  readDirtyLog(domain: number, bitmap: HypercallBuffer): void {
    const op = constants.XEN_DOMCTL_SHADOW_OP_PEEK;
    const isWhole =
      this.#logOp(domain, op, bitmap) >= bitmap.bytes.length * BYTE;
    if (!isWhole) throw new XenError("xc_domctl", EINVAL);
  }

  /**
   * Ends the log of what a guest writes, whoever began it.
   *
   * @throws {XenError} If Xen refuses
   */
  endDirtyLog(domain: number): void {
    this.#logOp(domain, constants.XEN_DOMCTL_SHADOW_OP_OFF);
  }

  /** Returns how many frames Xen told of. */
  #logOp(domain: number, op: number, bitmap?: HypercallBuffer): bigint {
    const request = domctlRequest(constants.XEN_DOMCTL_shadow_op, domain);
    request.setUint32(domctl.shadow_op, op, true);
    if (bitmap !== undefined) {
      const { address, bytes } = bitmap;
      request.setBigUint64(domctl.dirty_bitmap, address, true);
      request.setBigUint64(domctl.pages, BigInt(bytes.length * BYTE), true);
    }
    this.#domctl(request);
    return request.getBigUint64(domctl.pages, true);
  }

  /**
   * Tells each write of a control register before it happens.
   *
   * @param bits Those whose changes are told
   * @throws {XenError} If Xen refuses
   */
  tellControlRegister(
    domain: number,
    register: ControlRegister,
    bits: bigint,
  ): void {
    this.#check(
      "xc_monitor_write_ctrlreg",
      this.#library.symbols.xc_monitor_write_ctrlreg(
        this.#handle,
        domain,
        controlRegisters[register],
        true,
        true,
        BigInt.asUintN(64, ~bits),
        true,
      ),
    );
  }

  /**
   * Tells each change of a model-specific register before it happens.
   *
   * @param msr Its number
   * @throws {XenError} If Xen refuses
   */
  tellMsr(domain: number, msr: number): void {
    const { xc_monitor_mov_to_msr } = this.#library.symbols;
    this.#check(
      "xc_monitor_mov_to_msr",
      xc_monitor_mov_to_msr(this.#handle, domain, msr, true, true),
    );
  }

  /**
   * Tells each access to a descriptor table register before it happens, or none
   * any more. One that is told happens only if the answer has it emulated.
   *
   * @throws {XenError} If Xen refuses: EEXIST if it is so already, EOPNOTSUPP
   *   on processors that cannot
   */
  tellDescriptorTables(domain: number, tell: boolean): void {
    const { xc_monitor_descriptor_access } = this.#library.symbols;
    this.#check(
      "xc_monitor_descriptor_access",
      xc_monitor_descriptor_access(this.#handle, domain, tell),
    );
  }

  /**
   * Tells each single step of a virtual CPU that an answer has made step.
   *
   * @throws {XenError} If Xen refuses: EOPNOTSUPP on processors of AMD
   */
  tellSteps(domain: number): void {
    const { xc_monitor_singlestep } = this.#library.symbols;
    this.#check(
      "xc_monitor_singlestep",
      xc_monitor_singlestep(this.#handle, domain, true),
    );
  }

  /**
   * Lets a virtual CPU run freely that single-steps, and any other as well.
   *
   * @throws {XenError} If Xen refuses: EOPNOTSUPP on processors of AMD
   */
  endSteps(domain: number, vcpu: number): void {
    this.#check(
      "xc_domain_debug_control",
      this.#library.symbols.xc_domain_debug_control(
        this.#handle,
        domain,
        constants.XEN_DOMCTL_DEBUG_OP_SINGLE_STEP_OFF,
        vcpu,
      ),
    );
  }

  /**
   * Changes what a guest may do with pages before it is told.
   *
   * @param frames Guest frames, any number
   * @throws {XenError} If Xen refuses a page, with those before it done: EINVAL
   *   on processors of AMD, ENODEV if nobody listens
   */
  setAccess(
    domain: number,
    frames: readonly bigint[],
    access: keyof typeof pageAccesses,
  ): void {
    this.#check(
      "xc_set_mem_access_multi",
      this.#library.symbols.xc_set_mem_access_multi(
        this.#handle,
        domain,
        new Uint8Array(frames.length).fill(pageAccesses[access]),
        new Uint8Array(new BigUint64Array(frames).buffer),
        frames.length,
      ),
    );
  }

  /** Version of the hypervisor: `4.17.7`. */
  xenVersion(): string {
    const { xc_version } = this.#library.symbols;
    const extra = new Uint8Array(16);
    const version = this.#check(
      "xc_version",
      xc_version(this.#handle, constants.XENVER_version, extra),
    );
    this.#check(
      "xc_version",
      xc_version(this.#handle, constants.XENVER_extraversion, extra),
    );
    const end = extra.indexOf(0);
    const text = new TextDecoder().decode(
      extra.subarray(0, end < 0 ? extra.length : end),
    );
    return `${version >>> 16}.${version & 0xffff}${text}`;
  }

  /**
   * Raw `xc_domaininfo_t` of up to `max` domains from `first` on.
   *
   * @param first Lowest domain id
   * @param max At most 1024
   * @throws {XenError} If Xen refuses
   */
  domainInfoList(first: number, max: number): DataView[] {
    const size = this.domainInfoSize;
    const buffer = new Uint8Array(size * max);
    const count = this.#check(
      "xc_domain_getinfolist",
      this.#library.symbols.xc_domain_getinfolist(
        this.#handle,
        first,
        max,
        buffer,
      ),
    );
    return Array.from(
      { length: count },
      (_, index) => new DataView(buffer.buffer, index * size, size),
    );
  }

  /**
   * Raw `vcpu_guest_context_t` of a PV guest's virtual CPU.
   *
   * @param buffer Where to put it, 5168 bytes
   */
  vcpuContext(
    domain: number,
    vcpu: number,
    buffer: Uint8Array<ArrayBuffer> = new Uint8Array(vcpuContext.size),
  ): DataView<ArrayBuffer> {
    this.#check(
      "xc_vcpu_getcontext",
      this.#library.symbols.xc_vcpu_getcontext(
        this.#handle,
        domain,
        vcpu,
        buffer,
      ),
    );
    return new DataView(buffer.buffer, buffer.byteOffset);
  }

  /**
   * Raw `struct hvm_hw_cpu` of a virtual CPU of a PVH or HVM guest.
   *
   * @throws {XenError} If Xen refuses: ESRCH also of a domain that is dying
   */
  hvmCpu(domain: number, vcpu: number): DataView<ArrayBuffer> {
    const buffer = new Uint8Array(MAX_HVM_CPU);
    const call = "xc_domain_hvm_getcontext_partial";
    const result = this.#library.symbols[call](
      this.#handle,
      domain,
      hvmCpu.code,
      vcpu,
      buffer,
      MAX_HVM_CPU,
    );
    // It says so of one that dies, and else of nothing that is asked here
    if (result < 0 && errno(this.#libraries) === EINVAL) {
      throw new XenError(call, ESRCH);
    }
    this.#check(call, result);
    return new DataView(buffer.buffer);
  }

  /** Raw `xc_vcpuinfo_t` of a virtual CPU. */
  vcpuInfo(domain: number, vcpu: number): DataView<ArrayBuffer> {
    const buffer = new Uint8Array(vcpuInfo.size);
    this.#check(
      "xc_vcpu_getinfo",
      this.#library.symbols.xc_vcpu_getinfo(this.#handle, domain, vcpu, buffer),
    );
    return new DataView(buffer.buffer);
  }

  /**
   * Xen's own translation of a guest address, to check ours against.
   *
   * @returns The frame, or undefined where nothing is mapped
   * @throws {LibraryError} If this architecture's library has no such function
   */
  translate(domain: number, vcpu: number, address: bigint): bigint | undefined {
    const { xc_translate_foreign_address } = this.#library.symbols;
    if (xc_translate_foreign_address === null) {
      throw new LibraryError(
        `${this.library} has no xc_translate_foreign_address`,
      );
    }
    const frame = xc_translate_foreign_address(
      this.#handle,
      domain,
      vcpu,
      address,
    );
    return frame === 0n ? undefined : frame;
  }

  /** Pauses a domain; returns when it has stopped. Xen counts pauses. */
  pause(domain: number): void {
    this.#check(
      "xc_domain_pause",
      this.#library.symbols.xc_domain_pause(this.#handle, domain),
    );
  }

  /** Undoes one pause. */
  unpause(domain: number): void {
    this.#check(
      "xc_domain_unpause",
      this.#library.symbols.xc_domain_unpause(this.#handle, domain),
    );
  }

  /**
   * Takes memory for Dom0 which its kernel does not know of.
   *
   * @param count Frames
   * @returns Machine frames, of unknown contents
   * @throws {XenError} ENOMEM if Xen has no more, else why it refuses
   */
  takeFrames(count: number): bigint[] {
    this.#makeRoom(count);
    const frames = new BigUint64Array(count);
    const taken = this.#check(
      "xc_domain_increase_reservation",
      this.#library.symbols.xc_domain_increase_reservation(
        this.#handle,
        constants.DOMID_SELF,
        BigInt(count),
        0,
        0,
        new Uint8Array(frames.buffer),
      ),
    );
    if (taken === count) return [...frames];
    this.giveFrames([...frames.subarray(0, taken)]);
    throw new XenError("xc_domain_increase_reservation", ENOMEM);
  }

  /** Lets Dom0 have some more frames, if it has all that it may have. */
  #makeRoom(count: number): void {
    const [dom0] = this.domainInfoList(0, 1);
    const most = dom0!.getBigUint64(domainInfo.max_pages, true);
    const needed = dom0!.getBigUint64(domainInfo.tot_pages, true) +
      BigInt(count);
    if (needed <= most) return;
    this.#check(
      "xc_domain_setmaxmem",
      this.#library.symbols.xc_domain_setmaxmem(
        this.#handle,
        0,
        needed * BigInt(PAGE_SIZE / 1024),
      ),
    );
  }

  /**
   * Gives frames of `takeFrames` back. One that a guest maps stays Dom0's until
   * it is mapped no more.
   *
   * @throws {XenError} If Xen refuses one
   */
  giveFrames(frames: readonly bigint[]): void {
    if (frames.length === 0) return;
    const given = this.#check(
      "xc_domain_decrease_reservation",
      this.#library.symbols.xc_domain_decrease_reservation(
        this.#handle,
        constants.DOMID_SELF,
        BigInt(frames.length),
        0,
        new Uint8Array(new BigUint64Array(frames).buffer),
      ),
    );
    if (given !== frames.length) {
      throw new XenError("xc_domain_decrease_reservation", EINVAL);
    }
  }

  /** Stops a domain for a reboot; its toolstack starts it again. */
  reboot(domain: number): void {
    this.#check(
      "xc_domain_shutdown",
      this.#library.symbols.xc_domain_shutdown(
        this.#handle,
        domain,
        constants.SHUTDOWN_reboot,
      ),
    );
  }

  /** Destroys a domain. What its toolstack knows of it is not cleaned up. */
  async destroy(domain: number): Promise<void> {
    const result = await this.#library.symbols.xc_domain_destroy(
      this.#handle,
      domain,
    );
    // errno belongs to the thread that made the call, which is not this one
    if (result < 0) throw new Error(`xc_domain_destroy(${domain}) failed`);
  }

  [Symbol.dispose](): void {
    this.#library.symbols.xc_interface_close(this.#handle);
    this.#library.close();
  }
}
