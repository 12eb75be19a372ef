import { constants } from "./constants.ts";
import { XenError } from "./errors.ts";
import { errno } from "./control.ts";
import type { HypercallBuffer } from "./hypercall_buffer.ts";
import {
  hvmGetMemType,
  memAccessOp,
  mmuUpdate,
  multicallEntry,
  PAGE_SIZE,
} from "./layouts.ts";
import type { Libraries } from "./libraries.ts";
import { saysGone } from "./says_gone.ts";

/** Keeps accessed and dirty bits */
const PRESERVE_AD = BigInt(constants.MMU_PT_UPDATE_PRESERVE_AD);

/** Requests that fit into the buffer */
const MAX_REQUESTS = PAGE_SIZE / mmuUpdate.size;
/** Hypercalls of one multicall; each may have an argument in the buffer */
const MAX_CALLS = PAGE_SIZE / multicallEntry.size;

/** A new value for an entry of a guest's page table. */
export interface EntryUpdate {
  /** Machine frame of the table */
  readonly table: bigint;
  /** 0 to 511 */
  readonly index: number;
  readonly entry: bigint;
}

/**
 * Hypercalls that no library wraps, through libxencall. Each is made inside a
 * multicall, which returns the error number in memory: it does not get lost
 * between the library and JavaScript.
 */
export class Hypercalls implements Disposable {
  #libraries: Libraries;
  #handle: Deno.PointerValue;
  #stack = new DisposableStack();
  #call: HypercallBuffer;
  #requests: HypercallBuffer;

  /** @throws {XenError} If the privileged command device cannot be opened */
  constructor(libraries: Libraries) {
    this.#libraries = libraries;
    this.#handle = libraries.call.symbols.xencall_open(libraries.logger, 0);
    if (this.#handle === null) {
      throw new XenError("xencall_open", errno(libraries));
    }
    this.#call = this.#stack.use(this.buffer(PAGE_SIZE));
    this.#requests = this.#stack.use(this.buffer(PAGE_SIZE));
  }

  /**
   * Memory for other hypercalls. It must be given back before this is disposed.
   *
   * @param size Bytes; whole pages are allocated
   * @throws {XenError} If there is not so much
   */
  buffer(size: number): HypercallBuffer {
    const pages = BigInt(Math.ceil(size / PAGE_SIZE));
    const { xencall_alloc_buffer_pages, xencall_free_buffer_pages } =
      this.#libraries.call.symbols;
    const pointer = xencall_alloc_buffer_pages(this.#handle, pages);
    if (pointer === null) {
      throw new XenError("xencall_alloc_buffer_pages", errno(this.#libraries));
    }
    return {
      address: BigInt(Deno.UnsafePointer.value(pointer)),
      bytes: new Uint8Array(
        Deno.UnsafePointerView.getArrayBuffer(pointer, size),
      ),
      [Symbol.dispose]: () =>
        xencall_free_buffer_pages(this.#handle, pointer, pages),
    };
  }

  /**
   * @param calls Arguments of each call
   * @returns What each call returned
   */
  #hypercalls(op: number, calls: readonly (readonly bigint[])[]): bigint[] {
    const { address, bytes } = this.#call;
    const view = new DataView(bytes.buffer);
    calls.forEach((args, call) => {
      const at = call * multicallEntry.size;
      view.setBigUint64(at + multicallEntry.op, BigInt(op), true);
      for (let index = 0; index < 6; index++) {
        const place = at + multicallEntry.args + 8 * index;
        view.setBigUint64(place, args[index] ?? 0n, true);
      }
    });
    const result = this.#libraries.call.symbols.xencall2(
      this.#handle,
      constants.__HYPERVISOR_multicall,
      address,
      BigInt(calls.length),
    );
    if (result < 0) throw new XenError("multicall", errno(this.#libraries));
    return calls.map((_, call) =>
      view.getBigInt64(call * multicallEntry.size + multicallEntry.result, true)
    );
  }

  /**
   * Writes entries of a PV guest's page tables; accessed and dirty bits stay.
   * Xen flushes no TLB for this: pause the guest around it.
   *
   * @param domain Domain id
   * @param updates Any number
   * @param owner Whose frames they are to lead to
   * @throws {XenError} If Xen refuses one; those before it are done
   */
  updateEntries(
    domain: number,
    updates: readonly EntryUpdate[],
    owner = domain,
  ): void {
    // Whose tables in the upper half, whose frames in the lower one
    const subject = BigInt(domain + 1) << 16n | BigInt(owner);
    const view = new DataView(this.#requests.bytes.buffer);
    for (let from = 0; from < updates.length; from += MAX_REQUESTS) {
      const batch = updates.slice(from, from + MAX_REQUESTS);
      batch.forEach(({ table, index, entry }, position) => {
        const at = position * mmuUpdate.size;
        view.setBigUint64(
          at + mmuUpdate.ptr,
          table << 12n | BigInt(index * 8) | PRESERVE_AD,
          true,
        );
        view.setBigUint64(at + mmuUpdate.val, entry, true);
      });
      const [result] = this.#hypercalls(constants.__HYPERVISOR_mmu_update, [[
        this.#requests.address,
        BigInt(batch.length),
        0n,
        subject,
      ]]);
      if (result! < 0n) throw new XenError("mmu_update", Number(-result!));
    }
  }

  /**
   * What pages are to a PVH or HVM guest, whatever they are to all others.
   *
   * @param domain Domain id
   * @param frames Guest frames, any number
   * @returns `HVMMEM_*` of each frame, in order; of memory that a grant has the
   *   guest map it is `HVMMEM_ram_rw`
   * @throws {XenError} If Xen refuses: EINVAL for a PV guest, ESRCH if there is
   *   no such domain
   */
  typesOf(domain: number, frames: readonly bigint[]): number[] {
    const { __HYPERVISOR_hvm_op, HVMOP_get_mem_type } = constants;
    const call = { op: __HYPERVISOR_hvm_op, command: HVMOP_get_mem_type };
    const asked = this.#ask(call, hvmGetMemType.size, frames, (view, frame) => {
      view.setUint16(hvmGetMemType.domid, domain, true);
      view.setBigUint64(hvmGetMemType.pfn, frame, true);
    });
    return Array.from(asked, ({ result, view }) => {
      if (result < 0n) throw new XenError("hvm_op", Number(-result));
      return view.getUint16(hvmGetMemType.mem_type, true);
    });
  }

  /**
   * What a PVH or HVM guest may do with pages before it is told.
   *
   * @param domain Domain id
   * @param frames Guest frames, any number
   * @returns `XENMEM_access_*` of each frame, in order; undefined where the
   *   guest has no such page, or is gone
   * @throws {XenError} If Xen refuses: ENODEV if nobody listens
   */
  accessesOf(
    domain: number,
    frames: readonly bigint[],
  ): (number | undefined)[] {
    const { __HYPERVISOR_memory_op, XENMEM_access_op } = constants;
    const call = { op: __HYPERVISOR_memory_op, command: XENMEM_access_op };
    const asked = this.#ask(call, memAccessOp.size, frames, (view, frame) => {
      view.setUint8(memAccessOp.op, constants.XENMEM_access_op_get_access);
      view.setUint16(memAccessOp.domid, domain, true);
      view.setBigUint64(memAccessOp.pfn, frame, true);
    });
    return Array.from(asked, ({ result, view }) => {
      if (result >= 0n) return view.getUint8(memAccessOp.access);
      const error = new XenError("memory_op", Number(-result));
      if (saysGone(error)) return undefined;
      throw error;
    });
  }

  /**
   * Makes a hypercall for each of some frames, with a structure for each.
   *
   * @param size Bytes of the structure, at most 64
   * @param fill Sets its fields
   * @returns What each returned, and the structure as it is then
   */
  *#ask(
    { op, command }: { readonly op: number; readonly command: number },
    size: number,
    frames: readonly bigint[],
    fill: (view: DataView, frame: bigint) => void,
  ): Generator<{ readonly result: bigint; readonly view: DataView }> {
    const { address, bytes } = this.#requests;
    for (let from = 0; from < frames.length; from += MAX_CALLS) {
      const batch = frames.slice(from, from + MAX_CALLS);
      const views = batch.map((_, call) =>
        new DataView(bytes.buffer, call * size, size)
      );
      bytes.fill(0, 0, batch.length * size);
      batch.forEach((frame, call) => fill(views[call]!, frame));
      const results = this.#hypercalls(
        op,
        views.map(({ byteOffset }) => [
          BigInt(command),
          address + BigInt(byteOffset),
        ]),
      );
      for (const [call, view] of views.entries()) {
        yield { result: results[call]!, view };
      }
    }
  }

  [Symbol.dispose](): void {
    this.#stack.dispose();
    this.#libraries.call.symbols.xencall_close(this.#handle);
  }
}
