import { assert, assertEquals } from "@std/assert";
import { domainById } from "./domains.ts";
import type { XenHost } from "./host.ts";
import { Lifecycle } from "./lifecycle.ts";
import { fakeControl, type FakeDomain } from "./testing/fake_control.ts";
import { fakeStore } from "./testing/fake_store.ts";

const DYING = 1;
const SHUTDOWN = 4;
const REBOOT = 1 << 16;
const UUID = Uint8Array.from({ length: 16 }, (_, n) => n);
const OTHER = UUID.toReversed();

/** A host whose domains change; a change fires the special watches. */
class ChangingHost {
  readonly watched = new Map<string, () => void>();
  readonly host: XenHost;
  #domains: readonly FakeDomain[] = [{ id: 5, uuid: UUID }];
  #names: Readonly<Record<string, string>> = {
    "/local/domain/5/name": "web",
  };

  constructor() {
    // deno-lint-ignore no-this-alias -- the getters below need it
    const changing = this;
    this.host = {
      get control() {
        return fakeControl(changing.#domains);
      },
      get store() {
        return {
          read: (path: string) => fakeStore(changing.#names).read(path),
          directory: (path: string) =>
            fakeStore(changing.#names).directory(path),
          watch: (path: string, changed: () => void) => {
            changing.watched.set(path, changed);
            return () => void changing.watched.delete(path);
          },
        };
      },
    } as unknown as XenHost;
  }

  get web() {
    return domainById(this.host.control, this.host.store, 5)!;
  }

  tell(node: string, value: string): void {
    this.#names = { ...this.#names, [node]: value };
    this.watched.get(node)?.();
  }

  become(
    domains: readonly FakeDomain[],
    names: Readonly<Record<number, string>> = {},
  ): void {
    this.#domains = domains;
    this.#names = Object.fromEntries(
      Object.entries(names).map(([id, name]) =>
        [`/local/domain/${id}/name`, name] as const
      ),
    );
    for (const changed of this.watched.values()) changed();
  }
}

const WEB = { id: 5, uuid: UUID };
const never = new AbortController().signal;

Deno.test("why a guest ended is told", async () => {
  const ends: [FakeDomain[], string][] = [
    [[{ id: 5, uuid: UUID, flags: SHUTDOWN }], "poweroff"],
    [[{ id: 5, uuid: UUID, flags: SHUTDOWN | REBOOT }], "reboot"],
    [[{ id: 5, uuid: UUID, flags: SHUTDOWN | 3 << 16 }], "crash"],
    [[{ id: 5, uuid: UUID, flags: DYING }], "destroyed"],
    [[], "destroyed"],
    [[{ id: 5, uuid: OTHER }], "destroyed"],
  ];
  for (const [domains, reason] of ends) {
    const changing = new ChangingHost();
    using lifecycle = new Lifecycle(changing.host);
    const ended = lifecycle.ended(changing.web, never);
    changing.become(domains);
    assertEquals(await ended, reason);
  }
});

Deno.test("a guest that ended before anybody waited is told at once", async () => {
  const changing = new ChangingHost();
  using lifecycle = new Lifecycle(changing.host);
  const { web } = changing;
  changing.become([]);
  assertEquals(await lifecycle.ended(web, never), "destroyed");
});

Deno.test("what happens to others ends nothing, the signal does", async () => {
  const changing = new ChangingHost();
  using lifecycle = new Lifecycle(changing.host);
  const stop = new AbortController();
  const ended = lifecycle.ended(changing.web, stop.signal);
  changing.become([{ id: 5, uuid: UUID }, { id: 6, flags: DYING }]);
  stop.abort();
  assertEquals(await ended, undefined);
});

Deno.test("a suspended guest runs on, or is gone once it is saved", async () => {
  for (const [then, runs] of [[[WEB], true], [[], false]] as const) {
    const changing = new ChangingHost();
    using lifecycle = new Lifecycle(changing.host);
    changing.become([{ ...WEB, flags: SHUTDOWN | 2 << 16 }]);
    const resumed = lifecycle.resumed(changing.web, never);
    changing.become([...then]);
    assertEquals(await resumed, runs);
  }
});

Deno.test("what the toolstack asks of a guest is seen", async () => {
  const changing = new ChangingHost();
  using lifecycle = new Lifecycle(changing.host);
  const stop = new AbortController();
  const node = "/local/domain/5/control/shutdown";
  changing.tell(node, "");
  const asked = lifecycle.asked(changing.web, stop.signal);
  assert(changing.watched.has(node));
  changing.tell(node, "suspend");
  assertEquals(await asked, "suspend");
  assertEquals(lifecycle.request(changing.web), "suspend");
  assert(!changing.watched.has(node));

  changing.tell(node, "");
  assertEquals(lifecycle.request(changing.web), undefined);
  const again = lifecycle.asked(changing.web, stop.signal);
  stop.abort();
  assertEquals(await again, undefined);
});

Deno.test("a guest comes back under a new id, by its handle or by its name", async () => {
  for (const uuid of [UUID, OTHER]) {
    const changing = new ChangingHost();
    using lifecycle = new Lifecycle(changing.host);
    const back = lifecycle.successor(changing.web, never);
    changing.become([]);
    // The toolstack names it late
    const handleIsKept = uuid === UUID;
    changing.become([{ id: 6, uuid }], handleIsKept ? {} : { 6: "web" });
    assertEquals((await back)?.id, 6);
  }
});

Deno.test("what dies, what has shut down and what is another is no successor", async () => {
  const changing = new ChangingHost();
  using lifecycle = new Lifecycle(changing.host);
  const stop = new AbortController();
  const back = lifecycle.successor(changing.web, stop.signal);
  changing.become([
    { id: 5, uuid: UUID },
    { id: 6, uuid: UUID, flags: DYING },
    { id: 7, uuid: UUID, flags: SHUTDOWN },
    { id: 8, uuid: OTHER },
  ], { 8: "mail" });
  stop.abort();
  assertEquals(await back, undefined);
});

Deno.test("the watches end with the follower", () => {
  const changing = new ChangingHost();
  {
    using _lifecycle = new Lifecycle(changing.host);
    assertEquals([...changing.watched.keys()].sort(), [
      "@introduceDomain",
      "@releaseDomain",
    ]);
  }
  assertEquals(changing.watched.size, 0);
});
