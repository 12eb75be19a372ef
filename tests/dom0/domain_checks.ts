import { assert, assertEquals, assertThrows } from "@std/assert";
import { listDevices } from "../../xen/devices.ts";
import {
  type Domain,
  domainById,
  findDomain,
  listDomains,
} from "../../xen/domains.ts";
import { LibraryError, NoSuchDomainError } from "../../xen/errors.ts";
import { EventLoop } from "../../xen/event_loop.ts";
import type { XenHost } from "../../xen/host.ts";
import { AlreadyGuardedError, Journal } from "../../xen/journal.ts";
import { openFirst } from "../../xen/libraries.ts";
import { listVcpus } from "../../xen/vcpus.ts";
import type { Check } from "./context.ts";

const WATCH_LIMIT_MS = 10_000;

function isPaused({ control, store }: XenHost, { id }: Domain): boolean {
  return domainById(control, store, id)!.paused;
}

/** Checks of domains, of the store and of the libraries. */
export const domainChecks: readonly Check[] = [
  ["the library's domain information is as large as the release's", (
    { host },
  ) => {
    const [, minor] = host.control.xenVersion().match(/^4\.(\d+)\./)!;
    assertEquals(host.control.domainInfoSize, Number(minor) < 16 ? 104 : 112);
  }],

  ["a guest is found by its name and by its id", ({ host, domain }) => {
    const { control, store } = host;
    const byId = findDomain(control, store, String(domain.id));
    assertEquals(byId.uuid, domain.uuid);
    assertEquals(byId.name, domain.name);
    assertEquals(domain.type, "PV");
    assertEquals(domain.maxVcpus, 1);
    assertEquals(domain.pages, 32 * 256);
    assert(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(domain.uuid));
    assertEquals(
      listDomains(control, store).map(({ id }) => id),
      [0, domain.id],
    );
  }],

  ["what does not exist is not found", ({ host, domain }) => {
    const { control, store } = host;
    assertThrows(() => findDomain(control, store, "nobody"), NoSuchDomainError);
    assertEquals(domainById(control, store, domain.id + 1), undefined);
  }],

  ["its virtual CPU runs, on a processor that there is", async (context) => {
    const { control } = context.host;
    const [before, ...others] = listVcpus(control, context.domain);
    assertEquals(others, []);
    assert(["running", "blocked", "runnable"].includes(before!.state));
    assertEquals(before!.cpu, 0);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const [after] = listVcpus(control, context.domain);
    assert(
      after!.cpuTime > before!.cpuTime,
      "it used no time in half a second",
    );
  }],

  ["its devices are those that the toolstack gave it", ({ host, domain }) => {
    const devices = listDevices(host.store, domain.id);
    const consoles = devices.filter(({ kind }) => kind === "console");
    assertEquals(consoles.map(({ id, backend }) => [id, backend]), [["0", 0]]);
    assertEquals(listDevices(host.store, domain.id + 1), []);
  }],

  ["a watch fires each time that the guest writes", async (context) => {
    const { store, libraries } = context.host;
    using loop = new EventLoop(libraries);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const values = new Set<string>();
    const path = `/local/domain/${context.domain.id}/data/ticks`;
    const unwatch = store.watch(path, () => {
      values.add(store.read(path) ?? "");
      if (values.size === 4) resolve();
    });
    loop.add(store.fd, () => store.dispatch());
    loop.run().catch(reject);
    const timer = setTimeout(
      () => reject(new Error(`${values.size} values`)),
      WATCH_LIMIT_MS,
    );
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      unwatch();
      await loop.stop();
    }
  }],

  ["a hold counts once", ({ guest, host, domain }) => {
    guest.hold();
    guest.hold();
    assert(isPaused(host, domain));
    assert(guest.held);
    guest.endHold();
    assert(!isPaused(host, domain), "it stays paused");
    guest.endHold();
    // One pause too few would now let the guest run in spite of this one
    host.control.pause(domain.id);
    assert(isPaused(host, domain));
    host.control.unpause(domain.id);
    assert(!isPaused(host, domain));
  }],

  [
    "the pause because of an attack is the hold before it",
    ({ guest, host, domain }) => {
      guest.hold();
      guest.pauseForAttack();
      guest.endHold();
      assert(isPaused(host, domain));
      assert(guest.pausedForAttack);
      host.control.unpause(domain.id);
      assert(!isPaused(host, domain));
      assert(!guest.pausedForAttack);
    },
  ],

  ["an operator's unpause ends a hold", ({ guest, host, domain }) => {
    guest.hold();
    host.control.unpause(domain.id);
    guest.endHold();
    assert(!guest.held);
    guest.hold();
    assert(guest.held);
    guest.endHold();
    assert(!isPaused(host, domain));
  }],

  ["a second monitor of the guest is refused", ({ domain }) => {
    assertThrows(
      () => new Journal(domain.id),
      AlreadyGuardedError,
      String(Deno.pid),
    );
  }],

  ["a missing library or function is named", () => {
    assertThrows(
      () => openFirst(["libnothing.so.9"], {}),
      LibraryError,
      "libnothing",
    );
    assertThrows(
      () =>
        openFirst(["libxencall.so.1"], {
          xencall_nothing: { parameters: [], result: "void" },
        }),
      LibraryError,
      "xencall_nothing",
    );
  }],
];
