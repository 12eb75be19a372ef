import { constants } from "./constants.ts";
import { XenError } from "./errors.ts";
import { errno } from "./control.ts";
import type { EventLoop } from "./event_loop.ts";
import { BACK_OFF_MS, EventRate } from "./event_rate.ts";
import type { XenHost } from "./host.ts";
import { PAGE_SIZE } from "./layouts.ts";

const { PROT_READ } = constants;
/** New announcements that are taken at once, then ever later */
const FREE_BINDS = 8;
const BIND_DELAY_MS = 1000;
const MAX_BIND_DELAY_MS = 60_000;

/** What a guest announced in the store. */
interface Announcement {
  readonly ref: number;
  readonly port: number;
}

/**
 * The page that a guest grants to Dom0 and the event channel on which it says
 * that something new is there.
 *
 * The guest writes all of it at any time: numbers are checked, the page is
 * copied before anybody looks at it, and a guest that sends events or announces
 * channels without end is slowed down.
 */
export class FaultEvents implements Disposable {
  #host: XenHost;
  #loop: EventLoop;
  #domain: number;
  #arrived: () => void;
  #received: (page: Uint8Array<ArrayBuffer>) => void;
  #changed: (bound: boolean) => void;
  #evtchn: Deno.PointerValue;
  #gnttab: Deno.PointerValue;
  #nodes: { ref: string; port: string };
  #unwatch: (() => void)[] = [];
  #announced: Announcement | undefined;
  #localPort: number | undefined;
  #page: Deno.PointerObject | undefined;
  #view: Deno.UnsafePointerView | undefined;
  #rate = new EventRate();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #binds = 0;
  #bindTimer: ReturnType<typeof setTimeout> | undefined;

  /**
   * @param nodes Store nodes with the grant reference and the port, relative
   *   to the domain's home
   * @param arrived Called at once when an event has come; `received` follows
   * @param received Gets a copy of the page, 4096 bytes, after each event
   * @param changed Called when the guest's channel came into use or was lost
   * @throws {XenError} If the devices cannot be opened or a watch is refused
   */
  constructor(
    host: XenHost,
    loop: EventLoop,
    domain: number,
    nodes: { ref: string; port: string },
    arrived: () => void,
    received: (page: Uint8Array<ArrayBuffer>) => void,
    changed: (bound: boolean) => void,
  ) {
    this.#host = host;
    this.#loop = loop;
    this.#domain = domain;
    this.#nodes = nodes;
    this.#arrived = arrived;
    this.#received = received;
    this.#changed = changed;
    const { evtchn, gnttab } = host.libraries;
    this.#evtchn = evtchn.symbols.xenevtchn_open(host.libraries.logger, 0);
    if (this.#evtchn === null) {
      throw new XenError("xenevtchn_open", errno(host.libraries));
    }
    this.#gnttab = gnttab.symbols.xengnttab_open(host.libraries.logger, 0);
    if (this.#gnttab === null) {
      const error = new XenError("xengnttab_open", errno(host.libraries));
      evtchn.symbols.xenevtchn_close(this.#evtchn);
      throw error;
    }
    loop.add(this.#fd, () => this.#takeEvent());
    try {
      for (const node of [nodes.ref, nodes.port]) {
        this.#unwatch.push(
          host.store.watch(this.#path(node), () => this.#bind()),
        );
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
    // The watches fire later; what is announced already is used from now on
    this.#bind();
  }

  /** Whether the guest's page and channel are in use. */
  get bound(): boolean {
    return this.#localPort !== undefined;
  }

  get #fd(): number {
    return this.#host.libraries.evtchn.symbols.xenevtchn_fd(this.#evtchn);
  }

  #path(node: string): string {
    return `/local/domain/${this.#domain}/${node}`;
  }

  #number(node: string): number | undefined {
    const text = this.#host.store.read(this.#path(node));
    return text !== undefined && /^\d{1,9}$/.test(text)
      ? Number(text)
      : undefined;
  }

  /** What the guest announces now, if it is complete and new. */
  #announcement(): Announcement | undefined {
    const ref = this.#number(this.#nodes.ref);
    const port = this.#number(this.#nodes.port);
    if (ref === undefined || port === undefined) return undefined;
    const { ref: boundRef, port: boundPort } = this.#announced ?? {};
    return ref === boundRef && port === boundPort ? undefined : { ref, port };
  }

  #bind(): void {
    const announced = this.#announcement();
    if (announced === undefined) return;
    if (this.#bindTimer !== undefined) return;
    if (this.#binds >= FREE_BINDS) {
      const delay = BIND_DELAY_MS * 2 ** Math.min(this.#binds - FREE_BINDS, 10);
      this.#bindTimer = setTimeout(() => {
        this.#bindTimer = undefined;
        const last = this.#announcement();
        if (last !== undefined) this.#bindTo(last);
      }, Math.min(delay, MAX_BIND_DELAY_MS));
      return;
    }
    this.#bindTo(announced);
  }

  #bindTo(announced: Announcement): void {
    this.#binds++;
    const was = this.bound;
    this.#unbind();
    this.#tryBind(announced);
    if (was !== this.bound) this.#changed(this.bound);
    // What came before the channel was bound
    this.#deliver();
  }

  #tryBind({ ref, port }: Announcement): void {
    const { evtchn, gnttab } = this.#host.libraries;
    this.#page = gnttab.symbols.xengnttab_map_grant_ref(
      this.#gnttab,
      this.#domain,
      ref,
      PROT_READ,
    ) ?? undefined;
    const local = evtchn.symbols.xenevtchn_bind_interdomain(
      this.#evtchn,
      this.#domain,
      port,
    );
    if (this.#page === undefined || local < 0) {
      // Half of a new announcement, or nonsense: the next change tries again
      if (local >= 0) {
        evtchn.symbols.xenevtchn_unbind(this.#evtchn, local);
      }
      this.#unmapPage();
      return;
    }
    this.#view = new Deno.UnsafePointerView(this.#page);
    this.#localPort = local;
    this.#announced = { ref, port };
  }

  #takeEvent(): void {
    if (this.#view !== undefined) this.#arrived();
    const { symbols } = this.#host.libraries.evtchn;
    const port = symbols.xenevtchn_pending(this.#evtchn);
    this.#deliver();
    // One that was queued before its channel was replaced is masked for good
    if (port !== this.#localPort) return;
    if (this.#rate.next()) {
      symbols.xenevtchn_unmask(this.#evtchn, port);
      return;
    }
    // Replaced channels get the same number: an old event may be held already
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      symbols.xenevtchn_unmask(this.#evtchn, port);
      this.#deliver();
    }, BACK_OFF_MS);
  }

  #deliver(): void {
    if (this.#view === undefined) return;
    const copy = new Uint8Array(PAGE_SIZE);
    this.#view.copyInto(copy);
    this.#received(copy);
  }

  #unmapPage(): void {
    if (this.#page === undefined) return;
    this.#host.libraries.gnttab.symbols.xengnttab_unmap(
      this.#gnttab,
      this.#page,
      1,
    );
    this.#page = undefined;
    this.#view = undefined;
  }

  #unbind(): void {
    clearTimeout(this.#timer);
    this.#announced = undefined;
    if (this.#localPort !== undefined) {
      this.#host.libraries.evtchn.symbols.xenevtchn_unbind(
        this.#evtchn,
        this.#localPort,
      );
      this.#localPort = undefined;
    }
    this.#unmapPage();
  }

  /** Gives page and channel back. */
  [Symbol.dispose](): void {
    for (const unwatch of this.#unwatch) unwatch();
    clearTimeout(this.#bindTimer);
    this.#loop.remove(this.#fd);
    this.#unbind();
    this.#host.libraries.gnttab.symbols.xengnttab_close(this.#gnttab);
    this.#host.libraries.evtchn.symbols.xenevtchn_close(this.#evtchn);
  }
}
