import type { XenStore } from "./store.ts";
import { unlessGone } from "./unless_gone.ts";

/**
 * What the toolstack asks of a guest: to shut down, to reboot, to suspend so
 * that it can be saved or migrated (`control/shutdown`,
 * docs/misc/xenstore-paths.pandoc).
 *
 * Normally the node is the guest's, which acts on it at once. While it is held
 * only Dom0 sees it: nobody else is told of a request, and the guest can forge
 * none.
 */
export class ToolstackRequests {
  #store: XenStore;
  #domain: number;
  /** Where they are in xenstore */
  readonly node: string;

  /** @param domain Domain id */
  constructor(store: XenStore, domain: number) {
    this.#store = store;
    this.#domain = domain;
    this.node = `/local/domain/${domain}/control/shutdown`;
  }

  /** What is asked now: `suspend`, `poweroff` and the like, if anything. */
  get asked(): string | undefined {
    return this.#store.read(this.node) || undefined;
  }

  /**
   * Keeps requests from the guest.
   *
   * @throws {XenError} If xenstored refuses
   */
  hold(): void {
    if (this.#store.read(this.node) === undefined) {
      this.#store.write(this.node, "");
    }
    this.#store.giveTo(0, this.node);
  }

  /**
   * Lets the guest see what it is asked, and what came meanwhile.
   *
   * @throws {XenError} If xenstored refuses
   */
  release(): void {
    unlessGone(() => this.#store.giveTo(this.#domain, this.node));
  }
}
