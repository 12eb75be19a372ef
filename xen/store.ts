import { XenError } from "./errors.ts";
import { errno } from "./control.ts";
import type { Libraries } from "./libraries.ts";

/** Longest value that xenstored keeps by default, bytes */
const MAX_VALUE = 4096;
/** Most entries of a directory that are read */
const MAX_ENTRIES = 1024;
/** Most watch events that are taken at once */
const MAX_EVENTS = 4096;

function cString(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text + "\0");
}

/**
 * A connection to xenstore (libxenstore). What a guest wrote there is hostile:
 * values are taken as text of bounded length and parsed by the caller.
 */
export class XenStore implements Disposable {
  #libraries: Libraries;
  #handle: Deno.PointerValue;
  #watches = new Map<string, { path: string; changed: () => void }>();
  #nextToken = 0;

  /** @throws {XenError} If xenstored cannot be reached */
  constructor(libraries: Libraries) {
    this.#libraries = libraries;
    this.#handle = libraries.store.symbols.xs_open(0n);
    if (this.#handle === null) {
      throw new XenError("xs_open (is xenstored running?)", errno(libraries));
    }
  }

  /** File descriptor that is readable when a watch has fired */
  get fd(): number {
    return this.#libraries.store.symbols.xs_fileno(this.#handle);
  }

  /** The value of a node, or undefined if there is none. */
  read(path: string): string | undefined {
    const length = new Uint32Array(1);
    const value = this.#libraries.store.symbols.xs_read(
      this.#handle,
      0,
      cString(path),
      new Uint8Array(length.buffer),
    );
    if (value === null) return undefined;
    const bytes = new Uint8Array(Math.min(length[0]!, MAX_VALUE));
    if (bytes.length > 0) new Deno.UnsafePointerView(value).copyInto(bytes);
    this.#libraries.libc.symbols.free(value);
    // A byte order mark is a part of the value like any other
    return new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
  }

  /** Names of the nodes below a node; none if it does not exist. */
  directory(path: string): string[] {
    const count = new Uint32Array(1);
    const entries = this.#libraries.store.symbols.xs_directory(
      this.#handle,
      0,
      cString(path),
      new Uint8Array(count.buffer),
    );
    if (entries === null) return [];
    const view = new Deno.UnsafePointerView(entries);
    const names: string[] = [];
    for (let index = 0; index < Math.min(count[0]!, MAX_ENTRIES); index++) {
      const name = view.getPointer(index * 8);
      if (name !== null) names.push(Deno.UnsafePointerView.getCString(name));
    }
    this.#libraries.libc.symbols.free(entries);
    return names;
  }

  /**
   * Replaces the value of a node, or makes it.
   *
   * @throws {XenError} If xenstored refuses
   */
  write(path: string, value: string): void {
    const bytes = new TextEncoder().encode(value);
    const { xs_write } = this.#libraries.store.symbols;
    const { length } = bytes;
    if (!xs_write(this.#handle, 0, cString(path), bytes, length)) {
      throw new XenError("xs_write", errno(this.#libraries));
    }
  }

  /**
   * Lets one domain, and Dom0, read and write a node, and no other. Who is kept
   * from it sees no change of it; who gets it is told as if it had changed.
   *
   * @throws {XenError} If xenstored refuses: ENOENT if there is none
   */
  giveTo(domain: number, path: string): void {
    // struct xs_permissions: unsigned int id, enum perms (XS_PERM_NONE)
    const permissions = new Uint32Array([domain, 0]);
    const { xs_set_permissions } = this.#libraries.store.symbols;
    const given = xs_set_permissions(
      this.#handle,
      0,
      cString(path),
      new Uint8Array(permissions.buffer),
      1,
    );
    if (!given) {
      throw new XenError("xs_set_permissions", errno(this.#libraries));
    }
  }

  /**
   * Calls back when a node or one below it changes, from `dispatch`. Xenstore
   * fires a new watch once at once.
   *
   * @param path Node, or `@introduceDomain` and `@releaseDomain`
   * @returns Ends the watch
   * @throws {XenError} If xenstored refuses the watch
   */
  watch(path: string, changed: () => void): () => void {
    const token = `xkmon-${this.#nextToken++}`;
    const { xs_watch, xs_unwatch } = this.#libraries.store.symbols;
    this.#watches.set(token, { path, changed });
    if (!xs_watch(this.#handle, cString(path), cString(token))) {
      this.#watches.delete(token);
      throw new XenError("xs_watch", errno(this.#libraries));
    }
    return () => {
      if (!this.#watches.delete(token)) return;
      xs_unwatch(this.#handle, cString(path), cString(token));
    };
  }

  /** Takes the watch events that have come and calls back, once per watch. */
  dispatch(): void {
    const fired = new Set<string>();
    for (let count = 0; count < MAX_EVENTS; count++) {
      const event = this.#libraries.store.symbols.xs_check_watch(this.#handle);
      if (event === null) break;
      const token = new Deno.UnsafePointerView(event).getPointer(8);
      if (token !== null) fired.add(Deno.UnsafePointerView.getCString(token));
      this.#libraries.libc.symbols.free(event);
    }
    for (const token of fired) this.#watches.get(token)?.changed();
  }

  [Symbol.dispose](): void {
    this.#watches.clear();
    this.#libraries.store.symbols.xs_close(this.#handle);
  }
}
