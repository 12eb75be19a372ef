import type { GuestMemory } from "../memory.ts";
import type { Btf, Member } from "./btf.ts";

const PAGE_SIZE = 4096n;
/** Pages that are kept: 64 MiB of them */
const MAX_PAGES = 16_384;

/** A list that goes in circles, or holds more than any kernel has. */
export class EndlessListError extends Error {
  override readonly name = "EndlessListError";
}

/**
 * Reads a kernel's structures by address. A page is read once: all answers are
 * of one time, as nearly as can be had.
 */
export class KernelReader {
  readonly btf: Btf;
  #memory: GuestMemory;
  #pages = new Map<bigint, Uint8Array>();
  /** By structure and path: lists ask for the same ones again and again */
  #members = new Map<string, Member | undefined>();

  constructor(memory: GuestMemory, btf: Btf) {
    this.#memory = memory;
    this.btf = btf;
  }

  /**
   * Bytes at an address.
   *
   * @throws {UnreadableMemoryError} If one page cannot be read
   */
  bytes(address: bigint, length: number): Uint8Array<ArrayBuffer> {
    const result = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const at = BigInt.asUintN(64, address + BigInt(done));
      const offset = Number(at % PAGE_SIZE);
      const page = this.#page(at - BigInt(offset));
      const part = page.subarray(
        offset,
        Math.min(offset + length - done, page.length),
      );
      result.set(part, done);
      done += part.length;
    }
    return result;
  }

  #page(start: bigint): Uint8Array {
    let page = this.#pages.get(start);
    if (page === undefined) {
      if (this.#pages.size >= MAX_PAGES) this.#pages.clear();
      page = this.#memory.read(start, Number(PAGE_SIZE));
      this.#pages.set(start, page);
    }
    return page;
  }

  /** An unsigned number of 8 bytes. */
  u64(address: bigint): bigint {
    return new DataView(this.bytes(address, 8).buffer).getBigUint64(0, true);
  }

  /** An unsigned number of 4 bytes. */
  u32(address: bigint): number {
    return new DataView(this.bytes(address, 4).buffer).getUint32(0, true);
  }

  /** Text up to its NUL, at most so many bytes; what is not ASCII is `?`. */
  text(address: bigint, length: number): string {
    const bytes = this.bytes(address, length);
    const end = bytes.indexOf(0);
    return String.fromCharCode(
      ...bytes.subarray(0, end < 0 ? length : end).map((byte) =>
        byte >= 0x20 && byte < 0x7f ? byte : 0x3f
      ),
    );
  }

  /** A structure's member; `undefined` if this kernel has none such. */
  find(structure: string, path: string): Member | undefined {
    const key = `${structure} ${path}`;
    let member = this.#members.get(key);
    if (member === undefined && !this.#members.has(key)) {
      member = this.btf.member(structure, path);
      this.#members.set(key, member);
    }
    return member;
  }

  /**
   * Address of a structure's member.
   *
   * @throws {SyntaxError} If this kernel's structure has no such member
   */
  member(address: bigint, structure: string, path: string): bigint {
    const member = this.find(structure, path);
    if (member === undefined) {
      throw new SyntaxError(`struct ${structure} has no member ${path}`);
    }
    return address + BigInt(member.offset);
  }

  /** Value of a structure's pointer. */
  pointer(address: bigint, structure: string, path: string): bigint {
    return this.u64(this.member(address, structure, path));
  }

  /** Value of a structure's member of 4 bytes. */
  number(address: bigint, structure: string, path: string): number {
    return this.u32(this.member(address, structure, path));
  }

  /**
   * The structures on a list (`struct list_head`).
   *
   * @param head Address of the list's head
   * @param structure What is on it
   * @param link Member by which it is
   * @param limit Most structures
   * @throws {EndlessListError} If the list does not come back to its head
   */
  *list(
    head: bigint,
    structure: string,
    link: string,
    limit: number,
  ): Generator<bigint> {
    const offset = this.member(0n, structure, link);
    const seen = new Set<bigint>();
    let entry = this.u64(head);
    for (; entry !== head && entry !== 0n;) {
      if (seen.size === limit || seen.has(entry)) throw new EndlessListError();
      seen.add(entry);
      yield entry - offset;
      entry = this.u64(entry);
    }
  }
}
