import { errno } from "../../../xen/control.ts";
import { XenError } from "../../../xen/errors.ts";
import { xenctrl } from "../../../xen/ffi.ts";
import type { XenHost } from "../../../xen/host.ts";
import { hvmCpu } from "../../../xen/layouts.ts";

/** libxenctrl with what only an attacker needs (xenctrl.h) */
const symbols = {
  xc_interface_open: xenctrl.xc_interface_open,
  xc_interface_close: xenctrl.xc_interface_close,
  xc_domain_setmaxmem: xenctrl.xc_domain_setmaxmem,
  xc_vcpu_setcontext: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domid
      "u32", // uint32_t vcpu
      "buffer", // vcpu_guest_context_any_t *ctxt
    ],
    result: "i32",
  },
  xc_domain_hvm_getcontext: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domid
      "buffer", // uint8_t *ctxt_buf
      "u32", // uint32_t size
    ],
    result: "i32", // bytes written, or -1
  },
  xc_domain_hvm_setcontext: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domid
      "buffer", // uint8_t *hvm_ctxt
      "u32", // uint32_t size
    ],
    result: "i32",
  },
  xc_domain_populate_physmap_exact: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domid
      "usize", // unsigned long nr_extents
      "u32", // unsigned int extent_order
      "u32", // unsigned int mem_flags
      "buffer", // xen_pfn_t *extent_start
    ],
    result: "i32",
  },
  xc_domain_decrease_reservation_exact: {
    parameters: [
      "pointer", // xc_interface *xch
      "u32", // uint32_t domid
      "usize", // unsigned long nr_extents
      "u32", // unsigned int extent_order
      "buffer", // xen_pfn_t *extent_start
    ],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** Largest state of a guest with one virtual CPU, bytes */
const MAX_CONTEXT = 1 << 20;
/** `struct hvm_save_descriptor`: typecode u16, instance u16, length u32 */
const DESCRIPTOR_SIZE = 8;
/** Records of a saved guest (public/arch-x86/hvm/save.h) */
const HEADER = 1;
const END = 0;

/** What the toolstack may do to a guest: its processors and its memory. */
export class GuestControl implements Disposable {
  #library: Deno.DynamicLibrary<typeof symbols>;
  #handle: Deno.PointerValue;
  #host: XenHost;
  #domain: number;

  /** @param domain Domain id */
  constructor(host: XenHost, domain: number) {
    this.#host = host;
    this.#domain = domain;
    this.#library = Deno.dlopen(host.control.library, symbols);
    const { logger } = host.libraries;
    this.#handle = this.#library.symbols.xc_interface_open(logger, logger, 0);
  }

  #check(call: string, result: number): number {
    if (result < 0) throw new XenError(call, errno(this.#host.libraries));
    return result;
  }

  /** Changes the `vcpu_guest_context_t` of a PV guest's only virtual CPU. */
  changePvCpu(change: (context: DataView<ArrayBuffer>) => void): void {
    const context = this.#host.control.vcpuContext(this.#domain, 0);
    change(context);
    this.#check(
      "xc_vcpu_setcontext",
      this.#library.symbols.xc_vcpu_setcontext(
        this.#handle,
        this.#domain,
        0,
        new Uint8Array(context.buffer),
      ),
    );
  }

  /**
   * Changes the `struct hvm_hw_cpu` of a PVH guest's only virtual CPU. Of the
   * saved state only this record is loaded: all other devices go on.
   */
  changeHvmCpu(change: (cpu: DataView<ArrayBuffer>) => void): void {
    const all = new Uint8Array(MAX_CONTEXT);
    const size = this.#check(
      "xc_domain_hvm_getcontext",
      this.#library.symbols.xc_domain_hvm_getcontext(
        this.#handle,
        this.#domain,
        all,
        all.length,
      ),
    );
    const records: Uint8Array<ArrayBuffer>[] = [];
    for (let at = 0; at < size;) {
      const view = new DataView(all.buffer, at);
      const length = view.getUint32(4, true);
      const record = all.slice(at, at + DESCRIPTOR_SIZE + length);
      const code = view.getUint16(0, true);
      if (code === hvmCpu.code) {
        change(new DataView(record.buffer, DESCRIPTOR_SIZE));
      }
      if ([HEADER, hvmCpu.code, END].includes(code)) records.push(record);
      at += record.length;
    }
    const wanted = new Uint8Array(
      records.reduce((sum, { length }) => sum + length, 0),
    );
    let at = 0;
    for (const record of records) {
      wanted.set(record, at);
      at += record.length;
    }
    this.#check(
      "xc_domain_hvm_setcontext",
      this.#library.symbols.xc_domain_hvm_setcontext(
        this.#handle,
        this.#domain,
        wanted,
        wanted.length,
      ),
    );
  }

  /**
   * Gives the guest more memory.
   *
   * @param pages How much it may have in all
   * @param pfn A guest frame number that it does not use
   * @returns The frame as page tables name it
   */
  addFrame(pages: number, pfn: bigint): bigint {
    const { symbols } = this.#library;
    this.#check(
      "xc_domain_setmaxmem",
      symbols.xc_domain_setmaxmem(
        this.#handle,
        this.#domain,
        BigInt(pages * 4),
      ),
    );
    const frames = new BigUint64Array([pfn]);
    this.#check(
      "xc_domain_populate_physmap_exact",
      symbols.xc_domain_populate_physmap_exact(
        this.#handle,
        this.#domain,
        1n,
        0,
        0,
        new Uint8Array(frames.buffer),
      ),
    );
    return frames[0]!;
  }

  /** Takes a frame of `addFrame` away. */
  removeFrame(frame: bigint): void {
    this.#check(
      "xc_domain_decrease_reservation_exact",
      this.#library.symbols.xc_domain_decrease_reservation_exact(
        this.#handle,
        this.#domain,
        1n,
        0,
        new Uint8Array(new BigUint64Array([frame]).buffer),
      ),
    );
  }

  [Symbol.dispose](): void {
    this.#library.symbols.xc_interface_close(this.#handle);
    this.#library.close();
  }
}
