import { constants } from "./constants.ts";
import { LibraryError } from "./errors.ts";
import { fileMemory } from "./ffi.ts";
import { openFirst, sonames } from "./libraries.ts";

const encoder = new TextEncoder();
/** What stands behind the UUID and a blank */
const HELD = 0x31; // "1"
const NOT_HELD = 0x30; // "0"

function cString(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(`${text}\0`);
}

/**
 * A note in a file whether a guest is held: `UUID 1`, or `UUID 0`. It is
 * written by a store to shared memory: that takes no time, of which the guest
 * would have as much, and what is stored is in the file however this process
 * ends.
 */
export class HoldNote implements Disposable {
  #library = openFirst(sonames.libc, fileMemory);
  #pointer: Deno.PointerObject;
  #size: number;
  #bytes: Uint8Array;

  /**
   * Notes that the guest is not held.
   *
   * @param path Of the file
   * @param uuid Of the domain
   * @throws {Error} If the file cannot be written or mapped
   */
  constructor(path: string, uuid: string) {
    const text = encoder.encode(`${uuid} 0\n`);
    // All of it: a store must not need a block that a full disk does not have
    Deno.writeFileSync(path, text, { mode: 0o600 });
    this.#size = text.length;
    const { fopen, fileno, fclose, mmap } = this.#library.symbols;
    const file = fopen(cString(path), cString("r+"));
    const pointer = file && mmap(
      null,
      BigInt(this.#size),
      constants.PROT_READ | constants.PROT_WRITE,
      constants.MAP_SHARED,
      fileno(file),
      0n,
    );
    if (file !== null) fclose(file);
    if (
      pointer === null || Deno.UnsafePointer.value(pointer) === 2n ** 64n - 1n
    ) {
      this.#library.close();
      throw new LibraryError(`${path} cannot be mapped into memory`);
    }
    this.#pointer = pointer;
    this.#bytes = new Uint8Array(
      Deno.UnsafePointerView.getArrayBuffer(pointer, this.#size),
    );
  }

  /** Whether the guest is held. */
  get held(): boolean {
    return this.#bytes[this.#size - 2] === HELD;
  }

  set held(held: boolean) {
    this.#bytes[this.#size - 2] = held ? HELD : NOT_HELD;
  }

  /** Leaves the file as it is. */
  [Symbol.dispose](): void {
    this.#library.symbols.munmap(this.#pointer, BigInt(this.#size));
    this.#library.close();
  }
}

/**
 * Whether a file says that a guest is held. One that was cut short was not
 * followed by a hold.
 *
 * @param path Of the file; it may be missing
 * @param uuid Of the domain
 */
export function isHeld(path: string, uuid: string): boolean {
  try {
    return Deno.readTextFileSync(path) === `${uuid} 1\n`;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
