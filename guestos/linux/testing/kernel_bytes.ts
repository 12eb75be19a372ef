import type { CpuState } from "../../cpu_state.ts";
import {
  type KernelMemory,
  type MappedRange,
  type MappedRanges,
  UnreadableMemoryError,
} from "../../memory.ts";

const PAGE_SIZE = 4096;

/** A guest's memory for the tests: there is a page where one was written. */
export class KernelBytes implements KernelMemory {
  cpus: readonly CpuState[] = [{
    kind: "pv",
    vcpu: 0,
    root: 1n,
    ip: 0n,
    traps: [],
    callbacks: { event: 0n, failsafe: 0n, syscall: 0n },
  }];
  /** What is mapped by each root page table */
  tables = new Map<bigint, readonly MappedRange[]>();
  /** How often something was read */
  reads = 0;
  #pages = new Map<bigint, Uint8Array>();
  #root = 0n;

  /** Writes bytes, across pages where need be. */
  write(address: bigint, bytes: ArrayLike<number>): void {
    const all = Uint8Array.from(bytes);
    for (let done = 0; done < all.length;) {
      const at = BigInt.asUintN(64, address + BigInt(done));
      const offset = Number(at % BigInt(PAGE_SIZE));
      const start = at - BigInt(offset);
      let page = this.#pages.get(start);
      if (page === undefined) {
        page = new Uint8Array(PAGE_SIZE);
        this.#pages.set(start, page);
      }
      const part = all.subarray(done, done + PAGE_SIZE - offset);
      page.set(part, offset);
      done += part.length;
    }
  }

  /** Writes a number of 8 bytes. */
  u64(address: bigint, value: bigint): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, BigInt.asUintN(64, value), true);
    this.write(address, bytes);
  }

  /** Writes a number of 4 bytes. */
  u32(address: bigint, value: number): void {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, value, true);
    this.write(address, bytes);
  }

  /** Takes the page of an address away. */
  unmap(address: bigint): void {
    this.#pages.delete(address - address % BigInt(PAGE_SIZE));
  }

  read(address: bigint, length: number): Uint8Array<ArrayBuffer> {
    this.reads++;
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const at = address + BigInt(done);
      const offset = Number(at % BigInt(PAGE_SIZE));
      const page = this.#pages.get(at - BigInt(offset));
      if (page === undefined) {
        throw new UnreadableMemoryError(at, "not-present");
      }
      const part = page.subarray(offset, offset + length - done);
      bytes.set(part, done);
      done += part.length;
    }
    return bytes;
  }

  readInto(address: bigint, bytes: Uint8Array): void {
    bytes.set(this.read(address, bytes.length));
  }

  useRoot(root: bigint): void {
    this.#root = root;
  }

  mapped(start: bigint, end: bigint, onlyExecutable = false): MappedRanges {
    const ranges = (this.tables.get(this.#root) ?? []).filter((range) =>
      range.start >= start && range.start + range.size <= end &&
      (range.executable || !onlyExecutable)
    );
    return { ranges, complete: true };
  }

  frame(address: bigint): bigint {
    return address >> 12n;
  }
}
