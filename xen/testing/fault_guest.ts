import { constants } from "../constants.ts";
import type { EventLoop } from "../event_loop.ts";
import type { XenHost } from "../host.ts";
import type { Libraries } from "../libraries.ts";
import { XenStore } from "../store.ts";
import { Machine } from "./machine.ts";
import { XenstoreStub } from "./xenstore_stub.ts";

/** Descriptor of the event channels; the loop is a fake one too */
const FD = 88;
const EINVAL = 22;

interface Channel {
  readonly remote: number;
  masked: boolean;
  pending: boolean;
}

/**
 * A guest that grants pages and offers event channels, and the libxengnttab
 * and libxenevtchn that Dom0 sees it through. They behave as Linux and Xen do:
 * an event masks its port, one that comes meanwhile waits for `unmask`, a bound
 * port has an event at once, and what was queued stays when its port is
 * unbound. Whatever is used after it was given back is an error.
 */
export class FaultGuest implements Disposable {
  /** To be given to what listens to the guest */
  readonly host: XenHost;
  /** To be given to what listens to the guest; `turn` runs it */
  readonly loop: EventLoop;
  /** The store, in which the guest announces */
  readonly store: XenstoreStub;
  /** Handles on the two devices that are open */
  readonly open = new Set<"evtchn" | "gnttab">();
  /** Devices that cannot be opened */
  readonly missing = new Set<"evtchn" | "gnttab">();
  /** Ports that the guest offers */
  readonly offered = new Set<number>();
  /** What was asked of Xen: `map 8`, `bind 5` and so on, in order */
  readonly calls: string[] = [];

  #machine = new Machine();
  #connection: XenStore;
  #granted = new Map<number, bigint>();
  #mapped = new Map<bigint, string>();
  #channels = new Map<number, Channel>();
  #queue: number[] = [];
  #looks = 0;
  #sources = new Map<number, () => void>();

  /** @param xenstore Library made by `XenstoreStub.compile` */
  constructor(readonly domain: number, xenstore: string) {
    this.store = new XenstoreStub(xenstore);
    const loop: Pick<EventLoop, "add" | "remove"> = {
      add: (fd, readable) => void this.#sources.set(fd, readable),
      remove: (fd) => void this.#sources.delete(fd),
    };
    this.loop = loop as EventLoop;
    const libraries = {
      ...this.store.libraries,
      logger: null,
      evtchn: { symbols: this.#evtchn(), close: () => {} },
      gnttab: { symbols: this.#gnttab(), close: () => {} },
    } as unknown as Libraries;
    this.#connection = new XenStore(libraries);
    this.host = { libraries, store: this.#connection } as XenHost;
  }

  #handle(device: "evtchn" | "gnttab"): Deno.PointerValue {
    if (this.missing.has(device)) return null;
    this.open.add(device);
    return Deno.UnsafePointer.create(1n);
  }

  #close(device: "evtchn" | "gnttab"): number {
    this.#mustBeOpen(device);
    this.open.delete(device);
    return 0;
  }

  #mustBeOpen(device: "evtchn" | "gnttab"): void {
    if (!this.open.has(device)) throw new Error(`${device} is not open`);
  }

  #evtchn(): Libraries["evtchn"]["symbols"] {
    return {
      xenevtchn_open: () => this.#handle("evtchn"),
      xenevtchn_close: () => this.#close("evtchn"),
      xenevtchn_fd: () => {
        this.#mustBeOpen("evtchn");
        return FD;
      },
      xenevtchn_bind_interdomain: (_handle, domain, remote) => {
        this.#mustBeOpen("evtchn");
        this.calls.push(`bind ${remote}`);
        const bound = [...this.#channels.values()].some((channel) =>
          channel.remote === remote
        );
        if (domain !== this.domain || bound || !this.offered.has(remote)) {
          return -1;
        }
        let local = 1;
        while (this.#channels.has(local)) local++;
        this.#channels.set(local, { remote, masked: false, pending: true });
        this.#raise(local);
        return local;
      },
      xenevtchn_unbind: (_handle, local) => {
        this.#mustBeOpen("evtchn");
        const channel = this.#channels.get(local);
        if (channel === undefined) throw new Error(`${local} is not bound`);
        this.calls.push(`unbind ${channel.remote}`);
        this.#channels.delete(local);
        return 0;
      },
      xenevtchn_pending: () => {
        this.#mustBeOpen("evtchn");
        this.#looks++;
        return this.#queue.shift() ?? -1;
      },
      xenevtchn_notify: () => {
        throw new Error("A fault channel is never answered");
      },
      xenevtchn_unmask: (_handle, local) => {
        this.#mustBeOpen("evtchn");
        const channel = this.#channels.get(local);
        if (channel === undefined) return -EINVAL;
        channel.masked = false;
        this.#raise(local);
        return 0;
      },
    };
  }

  #gnttab(): Libraries["gnttab"]["symbols"] {
    return {
      xengnttab_open: () => this.#handle("gnttab"),
      xengnttab_close: () => this.#close("gnttab"),
      xengnttab_map_grant_ref: (_handle, domain, ref, protection) => {
        this.#mustBeOpen("gnttab");
        if (protection !== constants.PROT_READ) {
          throw new Error("Not read-only");
        }
        this.calls.push(`map ${ref}`);
        const frame = this.#granted.get(ref);
        if (domain !== this.domain || frame === undefined) return null;
        const { foreignmemory } = this.#machine.libraries;
        const page = foreignmemory.symbols.xenforeignmemory_map(
          null,
          domain,
          protection,
          1n,
          new Uint8Array(BigUint64Array.of(frame).buffer),
          new Uint8Array(4),
        );
        this.#mapped.set(Deno.UnsafePointer.value(page), `unmap ${ref}`);
        return page;
      },
      xengnttab_unmap: (_handle, page, count) => {
        this.#mustBeOpen("gnttab");
        const address = Deno.UnsafePointer.value(page);
        const call = this.#mapped.get(address);
        if (call === undefined || count !== 1) throw new Error("Not mapped");
        this.calls.push(call);
        this.#mapped.delete(address);
        const { foreignmemory } = this.#machine.libraries;
        return foreignmemory.symbols.xenforeignmemory_unmap(null, page, 1n);
      },
    };
  }

  #raise(local: number): void {
    const channel = this.#channels.get(local);
    if (channel === undefined || !channel.pending || channel.masked) return;
    channel.pending = false;
    channel.masked = true;
    this.#queue.push(local);
  }

  /** What of the guest and of the host is in use. */
  get used() {
    return {
      pages: this.#machine.mappedPages,
      channels: this.#channels.size,
      devices: [...this.open].sort(),
      watches: this.store.watches,
      sources: this.#sources.size,
    };
  }

  /** Grants a page of zeros; returns its bytes, live. */
  grant(ref: number): Uint8Array {
    const frame = this.#machine.allocate();
    this.#granted.set(ref, frame);
    return this.#machine.bytes(frame);
  }

  /** Writes a node below the guest's home. */
  write(node: string, value: string): void {
    this.store.write(`/local/domain/${this.domain}/${node}`, value);
  }

  /** Sends an event on a port; whoever listens takes it with `turn`. */
  send(port: number): void {
    for (const [local, channel] of this.#channels) {
      if (channel.remote !== port) continue;
      channel.pending = true;
      this.#raise(local);
    }
  }

  /** Leaves an event of a port of Dom0 in the queue, as of one unbound since. */
  queue(local: number): void {
    this.#queue.push(local);
  }

  /** Lets Dom0 take what has come: changes of the store, then events. */
  turn(): void {
    this.#connection.dispatch();
    while (this.#queue.length > 0 && this.#sources.size > 0) {
      const before = this.#looks;
      this.#sources.get(FD)!();
      // The descriptor stays readable, which would keep the loop busy for ever
      if (this.#looks === before) throw new Error("No event was taken");
    }
  }

  [Symbol.dispose](): void {
    this.#connection[Symbol.dispose]();
    this.store[Symbol.dispose]();
    this.#machine[Symbol.dispose]();
  }
}
