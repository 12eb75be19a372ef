import { assertEquals, assertThrows } from "@std/assert";
import { domainById, findDomain, listDomains } from "./domains.ts";
import { NoSuchDomainError } from "./errors.ts";
import { fakeControl, type FakeDomain } from "./testing/fake_control.ts";
import { fakeStore } from "./testing/fake_store.ts";

const DYING = 1;
const HVM = 2;
const SHUTDOWN = 4;
const PAUSED = 8;
const BLOCKED = 16;
const RUNNING = 32;

function xen(
  domains: readonly FakeDomain[],
  names: Readonly<Record<number, string>> = {},
) {
  return {
    control: fakeControl([{ id: 0 }, ...domains]),
    store: fakeStore(Object.fromEntries(
      Object.entries({ 0: "Domain-0", ...names }).map((
        [id, name],
      ) => [`/local/domain/${id}/name`, name]),
    )),
  };
}

function find(
  { control, store }: ReturnType<typeof xen>,
  nameOrId: string,
): number {
  return findDomain(control, store, nameOrId).id;
}

Deno.test("a domain is told as Xen and the store describe it", () => {
  const { control, store } = xen([{
    id: 5,
    flags: RUNNING,
    uuid: Uint8Array.from({ length: 16 }, (_, n) => n * 17),
    pages: 0x4000n,
    maxPages: 0x4001n,
    cpuTime: 12_345_678_901_234n,
    onlineVcpus: 2,
    maxVcpuId: 3,
  }], { 5: "web" });
  assertEquals(domainById(control, store, 5), {
    id: 5,
    name: "web",
    uuid: "00112233-4455-6677-8899-aabbccddeeff",
    type: "PV",
    paused: false,
    dying: false,
    state: "running",
    pages: 0x4000,
    maxPages: 0x4001,
    cpuTime: 12_345_678_901_234n,
    onlineVcpus: 2,
    maxVcpus: 4,
  });
});

Deno.test("the state that matters most is told", () => {
  const states: [number, string][] = [
    [RUNNING, "running"],
    [0, "running"],
    [BLOCKED, "blocked"],
    [BLOCKED | PAUSED, "paused"],
    [PAUSED | SHUTDOWN, "shutdown"],
    [DYING | SHUTDOWN | PAUSED, "dying"],
  ];
  for (const [flags, state] of states) {
    const { control, store } = xen([{ id: 5, flags }]);
    assertEquals(domainById(control, store, 5)!.state, state);
  }
});

Deno.test("what is no PV guest is told", () => {
  const { control, store } = xen([{ id: 5, flags: HVM }]);
  assertEquals(domainById(control, store, 5)!.type, "PVH or HVM");
});

Deno.test("a domain that is not there is not mistaken for the next one", () => {
  const { control, store } = xen([{ id: 9 }]);
  assertEquals(domainById(control, store, 5), undefined);
  assertEquals(domainById(control, store, 10), undefined);
});

Deno.test("all domains are listed, however many there are", () => {
  const domains = Array.from({ length: 600 }, (_, n) => ({ id: 3 + n }));
  const { control, store } = xen(domains);
  assertEquals(
    listDomains(control, store).map(({ id }) => id),
    [0, ...domains.map(({ id }) => id)],
  );
});

Deno.test("a domain without a name has an empty one", () => {
  const { control, store } = xen([{ id: 5 }]);
  assertEquals(domainById(control, store, 5)!.name, "");
});

Deno.test("a guest is found by its name and by its id", () => {
  const host = xen([{ id: 5 }, { id: 6 }], { 5: "web", 6: "mail" });
  assertEquals(find(host, "mail"), 6);
  assertEquals(find(host, "5"), 5);
});

Deno.test("a name wins over an id", () => {
  const host = xen([{ id: 5 }, { id: 6 }], { 5: "web", 6: "5" });
  assertEquals(find(host, "5"), 6);
});

Deno.test("of several of a name none is guessed", () => {
  const host = xen([{ id: 5 }, { id: 6 }], { 5: "web", 6: "web" });
  const error = assertThrows(() => find(host, "web"), RangeError);
  assertEquals(
    error.message,
    "Several domains are called web: name one by its id (5, 6)",
  );
  assertEquals(find(host, "6"), 6);
});

Deno.test("of several of a name the one that lives is found", () => {
  const host = xen([{ id: 5, flags: DYING }, { id: 6 }], {
    5: "web",
    6: "web",
  });
  assertEquals(find(host, "web"), 6);
});

Deno.test("where there is none, the names that exist are told", () => {
  const host = xen([{ id: 5 }, { id: 6 }], { 5: "web", 6: "mail" });
  const error = assertThrows(() => find(host, "wbe"), NoSuchDomainError);
  assertEquals(
    error.message,
    "No domain is called wbe; running: web (5), mail (6)",
  );
  assertThrows(
    () => find(xen([]), "web"),
    NoSuchDomainError,
    "no guest is running",
  );
});

Deno.test("what dies and Dom0 are no guests", () => {
  const host = xen([{ id: 5, flags: DYING }], { 5: "web" });
  for (const name of ["web", "5", "0", "Domain-0"]) {
    assertThrows(() => find(host, name), NoSuchDomainError);
  }
});

Deno.test("what only looks like a number is no id", () => {
  const host = xen([{ id: 5 }], { 5: "web" });
  for (const name of ["5.0", "0x5", " 5", "-5", "5e0", ""]) {
    assertThrows(() => find(host, name), NoSuchDomainError);
  }
});
