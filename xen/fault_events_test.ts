import { assert, assertEquals, assertThrows } from "@std/assert";
import { XenError } from "./errors.ts";
import { FaultEvents } from "./fault_events.ts";
import { PAGE_SIZE } from "./layouts.ts";
import { FaultGuest } from "./testing/fault_guest.ts";
import { XenstoreStub } from "./testing/xenstore_stub.ts";

const EINVAL = 22;

const DOMAIN = 3;
const REF = "data/xkmon/fault-ref";
const PORT = "data/xkmon/fault-port";
/** Longer than events are held back, ms */
const HELD_BACK = 150;
const LIMIT = 5_000;

const NOTHING = {
  pages: 0,
  channels: 0,
  devices: [],
  watches: 0,
  sources: 0,
};
/** What is in use while there is nothing to listen to */
const UNBOUND = {
  ...NOTHING,
  devices: ["evtchn", "gnttab"],
  watches: 2,
  sources: 1,
};
const BOUND = { ...UNBOUND, pages: 1, channels: 1 };

const folder = await Deno.makeTempDir();
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
const xenstore = await XenstoreStub.compile(`${folder}/libxenstore.so`);

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Listens to a guest and keeps what is told, in order. */
class Listener implements Disposable {
  /** `arrived`, `received`, `bound` and `lost` */
  readonly told: string[] = [];
  readonly pages: Uint8Array<ArrayBuffer>[] = [];
  readonly events: FaultEvents;

  constructor(guest: FaultGuest) {
    this.events = new FaultEvents(
      guest.host,
      guest.loop,
      DOMAIN,
      { ref: REF, port: PORT },
      () => this.told.push("arrived"),
      (page) => {
        this.told.push("received");
        this.pages.push(page);
      },
      (bound) => this.told.push(bound ? "bound" : "lost"),
    );
  }

  /** What was told since the last time. */
  news(): string[] {
    return this.told.splice(0);
  }

  [Symbol.dispose](): void {
    this.events[Symbol.dispose]();
  }
}

/** A guest that grants page 8, offers port 5 and announces both. */
function announcingGuest(): { guest: FaultGuest; page: Uint8Array } {
  const guest = new FaultGuest(DOMAIN, xenstore);
  const page = guest.grant(8);
  guest.offered.add(5);
  guest.write(REF, "8");
  guest.write(PORT, "5");
  return { guest, page };
}

Deno.test("what is announced already is used at once, with what is in the page", () => {
  const { guest, page } = announcingGuest();
  using _guest = guest;
  page[0] = 0x11;
  using listener = new Listener(guest);
  assertEquals(listener.events.bound, true);
  assertEquals(listener.news(), ["bound", "received"]);
  assertEquals(listener.pages[0]!.length, PAGE_SIZE);
  assertEquals(listener.pages[0]![0], 0x11);
  assertEquals(guest.used, BOUND);
  // The watches fire for what is bound already, which is not bound again
  guest.turn();
  assertEquals(guest.calls, ["map 8", "bind 5"]);
});

Deno.test("half an announcement waits for the other half, whichever comes first", () => {
  for (const [first, second] of [[REF, PORT], [PORT, REF]] as const) {
    using guest = new FaultGuest(DOMAIN, xenstore);
    guest.grant(8);
    guest.offered.add(8);
    using listener = new Listener(guest);
    guest.turn();
    guest.write(first, "8");
    guest.turn();
    assertEquals(listener.events.bound, false);
    assertEquals([guest.calls, listener.news()], [[], []]);
    assertEquals(guest.used, UNBOUND);
    guest.write(second, "8");
    guest.turn();
    assertEquals(listener.events.bound, true);
    assertEquals(listener.news().slice(0, 2), ["bound", "received"]);
    assertEquals(guest.used, BOUND);
  }
});

Deno.test("what is no number is not shown to Xen", () => {
  const nonsense = [
    "",
    " ",
    "-1",
    "+8",
    " 8",
    "8 ",
    "8\n",
    "8\x00",
    "8.0",
    "8e0",
    "0x8",
    "8n",
    "NaN",
    "Infinity",
    "٨",
    "\ufeff8",
    "1000000000",
    "4294967304",
    "-4294967288",
    "18446744073709551624",
    "8".repeat(100_000),
  ];
  for (const text of nonsense) {
    for (const [node, other] of [[REF, PORT], [PORT, REF]] as const) {
      using guest = new FaultGuest(DOMAIN, xenstore);
      guest.grant(8);
      guest.offered.add(8);
      guest.write(other, "8");
      guest.write(node, text);
      using listener = new Listener(guest);
      guest.turn();
      const what = `${node} = ${JSON.stringify(text.slice(0, 30))}`;
      assertEquals(guest.calls, [], what);
      assertEquals(listener.events.bound, false, what);
    }
  }
});

Deno.test("numbers that Xen refuses leave nothing behind", () => {
  const { guest } = announcingGuest();
  using _guest = guest;
  guest.write(REF, "999999999");
  guest.write(PORT, "999999999");
  using listener = new Listener(guest);
  guest.turn();
  assertEquals(listener.events.bound, false);
  assertEquals(listener.news(), []);
  assertEquals(guest.used, UNBOUND);
});

Deno.test("a page without its channel is given back, and both are tried again", () => {
  const { guest } = announcingGuest();
  using _guest = guest;
  guest.offered.delete(5);
  using listener = new Listener(guest);
  assertEquals(guest.calls, ["map 8", "bind 5", "unmap 8"]);
  assertEquals(guest.used, UNBOUND);
  guest.offered.add(5);
  guest.write(PORT, "5");
  guest.turn();
  assertEquals(listener.events.bound, true);
  assertEquals(guest.used, BOUND);
});

Deno.test("a channel without its page is given back, and both are tried again", () => {
  const { guest } = announcingGuest();
  using _guest = guest;
  guest.write(REF, "9");
  using listener = new Listener(guest);
  assertEquals(guest.calls, ["map 9", "bind 5", "unbind 5"]);
  assertEquals(guest.used, UNBOUND);
  guest.grant(9);
  guest.write(REF, "9");
  guest.turn();
  assertEquals(listener.events.bound, true);
  assertEquals(guest.used, BOUND);
});

Deno.test("new numbers replace the old ones, and only theirs are listened to", () => {
  const { guest } = announcingGuest();
  using _guest = guest;
  using listener = new Listener(guest);
  guest.turn();
  guest.calls.splice(0);
  listener.news();
  const page = guest.grant(9);
  page[0] = 0x99;
  guest.offered.add(6);
  guest.write(REF, "9");
  guest.write(PORT, "6");
  guest.turn();
  const order = guest.calls.map((call) => call.split(" ")[0]);
  assertEquals(guest.calls.toSorted(), [
    "bind 6",
    "map 9",
    "unbind 5",
    "unmap 8",
  ]);
  // A guest that offers the same page or port again can have it
  assert(order.lastIndexOf("unmap") < order.indexOf("map"), order.join());
  assert(order.lastIndexOf("unbind") < order.indexOf("bind"), order.join());
  assertEquals(guest.used, BOUND);
  assertEquals(listener.pages.at(-1)![0], 0x99);
  // It was in use and is: nothing to tell the operator
  assertEquals(listener.news().filter((what) => what.length === 5), []);
  guest.turn();
  listener.news();
  guest.send(5);
  guest.turn();
  assertEquals(listener.news(), []);
  guest.send(6);
  guest.turn();
  assertEquals(listener.news(), ["arrived", "received"]);
});

Deno.test("one new number is enough, the other is kept", () => {
  const { guest } = announcingGuest();
  using _guest = guest;
  using listener = new Listener(guest);
  guest.turn();
  guest.grant(9)[0] = 0x99;
  guest.write(REF, "9");
  guest.turn();
  assertEquals(listener.pages.at(-1)![0], 0x99);
  guest.offered.add(6);
  guest.write(PORT, "6");
  guest.turn();
  listener.news();
  guest.send(6);
  guest.turn();
  assertEquals(listener.news(), ["arrived", "received"]);
  assertEquals(guest.used, BOUND);
});

Deno.test("new numbers that Xen refuses lose the channel, and it is told once", () => {
  const { guest } = announcingGuest();
  using _guest = guest;
  using listener = new Listener(guest);
  guest.turn();
  listener.news();
  guest.write(REF, "9");
  guest.turn();
  assertEquals(listener.events.bound, false);
  assertEquals(listener.news(), ["lost"]);
  assertEquals(guest.used, UNBOUND);
  guest.write(REF, "10");
  guest.turn();
  assertEquals(listener.news(), []);
  guest.write(REF, "8");
  guest.turn();
  assertEquals(listener.news().slice(0, 2), ["bound", "received"]);
  assertEquals(guest.used, BOUND);
});

Deno.test("a guest that announces without end is slowed down, and its last word is taken", async () => {
  const { guest } = announcingGuest();
  using _guest = guest;
  using listener = new Listener(guest);
  for (let round = 0; round < 100; round++) {
    guest.write(REF, round % 2 === 0 ? "9" : "8");
    guest.turn();
  }
  const binds = guest.calls.filter((call) => call.startsWith("map")).length;
  assert(binds < 10, `${binds} times`);
  assert(listener.news().filter((what) => what === "bound").length < 10);
  guest.write(REF, "8");
  const end = performance.now() + LIMIT;
  while (!listener.events.bound) {
    assert(performance.now() < end, "it is not bound again");
    await delay(50);
    guest.turn();
  }
  assertEquals(guest.used, BOUND);
});

Deno.test("an announcement that is taken back or spoilt leaves the channel in use", () => {
  const { guest } = announcingGuest();
  using _guest = guest;
  using listener = new Listener(guest);
  guest.turn();
  listener.news();
  guest.store.remove(`/local/domain/${DOMAIN}/${PORT}`);
  guest.write(REF, "nonsense");
  guest.turn();
  assertEquals(guest.used, BOUND);
  guest.send(5);
  guest.turn();
  assertEquals(listener.news(), ["arrived", "received"]);
});

Deno.test("an event is told before the page is, and each one is", () => {
  const { guest, page } = announcingGuest();
  using _guest = guest;
  using listener = new Listener(guest);
  guest.turn();
  listener.news();
  for (let count = 1; count <= 3; count++) {
    page[0] = count;
    guest.send(5);
    guest.turn();
    assertEquals(listener.news(), ["arrived", "received"]);
    assertEquals(listener.pages.at(-1)![0], count);
  }
});

Deno.test("a page that was handed out does not change when the guest writes", () => {
  const { guest, page } = announcingGuest();
  using _guest = guest;
  page.fill(0x11);
  using listener = new Listener(guest);
  page.fill(0x22);
  guest.send(5);
  guest.turn();
  page.fill(0x33);
  const [first, second] = listener.pages;
  assertEquals(first, new Uint8Array(PAGE_SIZE).fill(0x11));
  assertEquals(second, new Uint8Array(PAGE_SIZE).fill(0x22));
});

Deno.test("an event of a channel that was lost meanwhile tells nothing", () => {
  const { guest } = announcingGuest();
  using _guest = guest;
  using listener = new Listener(guest);
  listener.news();
  // Of the bound channel, not taken yet; the store has its turn first
  guest.write(PORT, "6");
  guest.turn();
  assertEquals(listener.news(), ["lost"]);
});

/** Waits for a time at which the count of this second cannot start anew. */
async function earlyInSecond(): Promise<void> {
  while (performance.now() % 1000 > 500) await delay(20);
}

Deno.test("more than 100 events a second are slowed down and the last is not lost", async () => {
  const { guest, page } = announcingGuest();
  using _guest = guest;
  using listener = new Listener(guest);
  const view = new DataView(page.buffer, page.byteOffset);
  await earlyInSecond();
  for (let count = 1; count <= 1000; count++) {
    view.setUint32(0, count, true);
    guest.send(5);
    guest.turn();
  }
  // One more is taken and its port stays masked
  assertEquals(listener.told.filter((what) => what === "arrived").length, 101);
  const last = () =>
    new DataView(listener.pages.at(-1)!.buffer).getUint32(0, true);
  assert(last() < 1000);
  const end = performance.now() + LIMIT;
  while (last() < 1000 && performance.now() < end) {
    await delay(10);
    guest.turn();
  }
  assertEquals(last(), 1000);
  // In another second events are taken at once again
  await delay(1000);
  guest.turn();
  listener.news();
  for (let count = 0; count < 3; count++) {
    guest.send(5);
    guest.turn();
    assertEquals(listener.news(), ["arrived", "received"]);
  }
});

Deno.test("100 events in one second are all taken at once", async () => {
  const { guest } = announcingGuest();
  using _guest = guest;
  using listener = new Listener(guest);
  await earlyInSecond();
  guest.turn();
  // Binding was an event
  for (let count = 2; count <= 100; count++) {
    guest.send(5);
    guest.turn();
  }
  assertEquals(listener.told.filter((what) => what === "arrived").length, 100);
  guest.send(5);
  guest.turn();
  assertEquals(listener.news().slice(-2), ["arrived", "received"]);
});

Deno.test("a channel that is held back can be replaced, and the new one lives", async () => {
  const { guest } = announcingGuest();
  using _guest = guest;
  using listener = new Listener(guest);
  await earlyInSecond();
  for (let count = 1; count <= 200; count++) {
    guest.send(5);
    guest.turn();
  }
  guest.offered.add(6);
  guest.write(PORT, "6");
  guest.turn();
  await delay(HELD_BACK);
  guest.turn();
  await delay(1000);
  listener.news();
  guest.send(6);
  guest.turn();
  assertEquals(listener.news(), ["arrived", "received"]);
});

Deno.test("nothing is touched after the end, even where events are held back twice", async () => {
  const { guest } = announcingGuest();
  using _guest = guest;
  {
    using _listener = new Listener(guest);
    await earlyInSecond();
    guest.turn();
    for (let count = 2; count <= 100; count++) {
      guest.send(5);
      guest.turn();
    }
    // Queued on the old channel; the new one gets the same number in Dom0
    guest.send(5);
    guest.offered.add(6);
    guest.write(PORT, "6");
    guest.turn();
  }
  assertEquals(guest.used, NOTHING);
  // The guest throws from a timer that still uses it, which fails the test
  await delay(HELD_BACK);
});

Deno.test("an event of the old channel does not stop the new one, held back too", async () => {
  const { guest } = announcingGuest();
  using _guest = guest;
  using listener = new Listener(guest);
  await earlyInSecond();
  for (let count = 1; count <= 200; count++) {
    guest.send(5);
    guest.turn();
  }
  guest.offered.add(6);
  guest.write(PORT, "6");
  guest.turn();
  // A port that is not in use any more, as one that was left in the queue
  guest.queue(40);
  guest.turn();
  await delay(HELD_BACK);
  listener.news();
  guest.send(6);
  guest.turn();
  assertEquals(listener.news(), ["arrived", "received"]);
});

Deno.test("the end gives everything back, and what comes after it is not told", () => {
  const { guest } = announcingGuest();
  using _guest = guest;
  const listener = new Listener(guest);
  guest.turn();
  assertEquals(guest.used, BOUND);
  // Neither an event nor a change that is on its way is told any more
  guest.send(5);
  guest.write(REF, "9");
  listener[Symbol.dispose]();
  assertEquals(guest.used, NOTHING);
  listener.news();
  guest.write(REF, "8");
  guest.turn();
  assertEquals(listener.news(), []);
  assertEquals(guest.used, NOTHING);
});

Deno.test("a device that cannot be opened is an error and leaves nothing open", () => {
  for (const device of ["evtchn", "gnttab"] as const) {
    const { guest } = announcingGuest();
    using _guest = guest;
    guest.missing.add(device);
    const error = assertThrows(() => new Listener(guest), XenError);
    assertEquals(error.call, `xen${device}_open`);
    assertEquals(guest.used, NOTHING);
  }
});

Deno.test("a watch that is refused is an error and leaves nothing open", () => {
  const { guest } = announcingGuest();
  using _guest = guest;
  guest.store.refuse(EINVAL);
  const error = assertThrows(() => new Listener(guest), XenError);
  assertEquals(error.call, "xs_watch");
  assertEquals(guest.used, NOTHING);
});
