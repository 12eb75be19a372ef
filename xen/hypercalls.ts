import { constants } from "./constants.ts";
import { XenError } from "./errors.ts";
import { errno } from "./control.ts";
import { mmuUpdate, multicallEntry, PAGE_SIZE } from "./layouts.ts";
import type { Libraries } from "./libraries.ts";

/** Keeps accessed and dirty bits */
const PRESERVE_AD = BigInt(constants.MMU_PT_UPDATE_PRESERVE_AD);

/** Requests that fit into the buffer */
const MAX_REQUESTS = PAGE_SIZE / mmuUpdate.size;

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
  #call: { pointer: Deno.PointerObject; view: DataView };
  #requests: { pointer: Deno.PointerObject; view: DataView };

  /** @throws {XenError} If the privileged command device cannot be opened */
  constructor(libraries: Libraries) {
    this.#libraries = libraries;
    this.#handle = libraries.call.symbols.xencall_open(libraries.logger, 0);
    if (this.#handle === null) {
      throw new XenError("xencall_open", errno(libraries));
    }
    this.#call = this.#allocate();
    this.#requests = this.#allocate();
  }

  #allocate(): { pointer: Deno.PointerObject; view: DataView } {
    const pointer = this.#libraries.call.symbols.xencall_alloc_buffer_pages(
      this.#handle,
      1n,
    );
    if (pointer === null) {
      throw new XenError("xencall_alloc_buffer_pages", errno(this.#libraries));
    }
    const memory = Deno.UnsafePointerView.getArrayBuffer(pointer, PAGE_SIZE);
    return { pointer, view: new DataView(memory) };
  }

  #hypercall(op: number, args: readonly bigint[]): bigint {
    const { pointer, view } = this.#call;
    view.setBigUint64(multicallEntry.op, BigInt(op), true);
    for (let index = 0; index < 6; index++) {
      view.setBigUint64(
        multicallEntry.args + 8 * index,
        args[index] ?? 0n,
        true,
      );
    }
    const result = this.#libraries.call.symbols.xencall2(
      this.#handle,
      constants.__HYPERVISOR_multicall,
      Deno.UnsafePointer.value(pointer),
      1n,
    );
    if (result < 0) throw new XenError("multicall", errno(this.#libraries));
    return view.getBigInt64(multicallEntry.result, true);
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
    for (let from = 0; from < updates.length; from += MAX_REQUESTS) {
      const batch = updates.slice(from, from + MAX_REQUESTS);
      batch.forEach(({ table, index, entry }, position) => {
        const at = position * mmuUpdate.size;
        const { view } = this.#requests;
        view.setBigUint64(
          at + mmuUpdate.ptr,
          table << 12n | BigInt(index * 8) | PRESERVE_AD,
          true,
        );
        view.setBigUint64(at + mmuUpdate.val, entry, true);
      });
      const result = this.#hypercall(constants.__HYPERVISOR_mmu_update, [
        Deno.UnsafePointer.value(this.#requests.pointer),
        BigInt(batch.length),
        0n,
        subject,
      ]);
      if (result < 0n) throw new XenError("mmu_update", Number(-result));
    }
  }

  [Symbol.dispose](): void {
    const { xencall_free_buffer_pages, xencall_close } =
      this.#libraries.call.symbols;
    xencall_free_buffer_pages(this.#handle, this.#call.pointer, 1n);
    xencall_free_buffer_pages(this.#handle, this.#requests.pointer, 1n);
    xencall_close(this.#handle);
  }
}
