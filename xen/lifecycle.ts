import { type Domain, domainById, listDomains } from "./domains.ts";
import type { XenHost } from "./host.ts";
import { ToolstackRequests } from "./toolstack_requests.ts";

/**
 * Follows one guest through death and rebirth. Xenstore's special watches say
 * when to look; Xen says what is.
 */
export class Lifecycle implements Disposable {
  #host: XenHost;
  #unwatch: (() => void)[];
  #waiting = new Set<() => void>();

  constructor(host: XenHost) {
    this.#host = host;
    this.#unwatch = ["@introduceDomain", "@releaseDomain"].map((path) =>
      host.store.watch(path, () => {
        for (const look of this.#waiting) look();
      })
    );
  }

  /**
   * Waits until something is so, looking again at every change of a domain.
   *
   * @param look Returns what is waited for, or undefined
   * @param signal Ends the wait
   * @returns What `look` found, or undefined if the signal came first
   */
  #until<T>(
    look: () => T | undefined,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    const { promise, resolve, reject } = Promise.withResolvers<T | undefined>();
    const again = () => {
      try {
        const found = look();
        if (found !== undefined) resolve(found);
      } catch (error) {
        reject(error);
      }
    };
    const stop = () => resolve(undefined);
    this.#waiting.add(again);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
    again();
    return promise.finally(() => {
      this.#waiting.delete(again);
      signal.removeEventListener("abort", stop);
    });
  }

  /**
   * Why a domain has shut down or is gone.
   *
   * @returns In a word: `suspend` while it is being saved or migrated,
   *   `destroyed` if it did not shut down; undefined if it lives
   */
  endOf(domain: Domain): string | undefined {
    const now = domainById(this.#host.control, this.#host.store, domain.id);
    if (now === undefined || now.uuid !== domain.uuid) return "destroyed";
    return now.shutdown ?? (now.dying ? "destroyed" : undefined);
  }

  /**
   * Waits until a domain shuts down or is gone.
   *
   * @returns Why, as {@linkcode endOf}; undefined if the signal came first
   */
  ended(domain: Domain, signal: AbortSignal): Promise<string | undefined> {
    return this.#until(() => this.endOf(domain), signal);
  }

  /** What the toolstack asks a domain for now, if anything. */
  request({ id }: Domain): string | undefined {
    return new ToolstackRequests(this.#host.store, id).asked;
  }

  /**
   * Waits until the toolstack asks a domain for something: to suspend, to shut
   * down.
   *
   * @returns What it asks; undefined if the signal came first
   */
  async asked(
    domain: Domain,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const { store } = this.#host;
    const { node } = new ToolstackRequests(store, domain.id);
    const unwatch = store.watch(node, () => {
      for (const look of this.#waiting) look();
    });
    try {
      return await this.#until(() => this.request(domain), signal);
    } finally {
      unwatch();
    }
  }

  /**
   * Waits for what becomes of a suspended domain.
   *
   * @returns Whether it runs on; false once it is gone, saved or migrated, and
   *   undefined if the signal came first
   */
  resumed(domain: Domain, signal: AbortSignal): Promise<boolean | undefined> {
    return this.#until(() => {
      const now = domainById(this.#host.control, this.#host.store, domain.id);
      const gone = now === undefined || now.uuid !== domain.uuid || now.dying;
      if (gone) return false;
      return now.shutdown === undefined ? true : undefined;
    }, signal);
  }

  /**
   * Waits until a guest is there again under a new domain id.
   *
   * @param previous The domain that it was
   */
  successor(
    previous: Domain,
    signal: AbortSignal,
  ): Promise<Domain | undefined> {
    return this.#until(
      () =>
        listDomains(this.#host.control, this.#host.store).find((
          { id, uuid, name, dying, shutdown, onlineVcpus },
        ) =>
          id !== previous.id && !dying && shutdown === undefined &&
          // Before that it is still being built
          onlineVcpus > 0 &&
          // The toolstack names it late; some make a new UUID
          (uuid === previous.uuid || name !== "" && name === previous.name)
        ),
      signal,
    );
  }

  [Symbol.dispose](): void {
    for (const unwatch of this.#unwatch) unwatch();
  }
}
