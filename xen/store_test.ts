import { assertEquals, assertThrows } from "@std/assert";
import { XenError } from "./errors.ts";
import { XenStore } from "./store.ts";
import { XenstoreStub } from "./testing/xenstore_stub.ts";

const ENOENT = 2;
const EACCES = 13;
const EINVAL = 22;

const HOME = "/local/domain/3";

const folder = await Deno.makeTempDir();
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
const library = await XenstoreStub.compile(`${folder}/libxenstore.so`);

/** A connection to a store in which only the test's nodes are. */
function withStore(use: (store: XenStore, stub: XenstoreStub) => void) {
  // The library is unloaded after each test, and with it what is in the store
  using stub = new XenstoreStub(library);
  assertEquals([stub.connections, stub.watches, stub.events], [0, 0, 0]);
  {
    using store = new XenStore(stub.libraries);
    use(store, stub);
  }
  assertEquals(stub.connections, 0);
}

Deno.test("a xenstored that cannot be reached is told, with what to look for", () => {
  using stub = new XenstoreStub(library);
  stub.refuse(ENOENT);
  const error = assertThrows(() => new XenStore(stub.libraries), XenError);
  assertEquals(
    error.message,
    "xs_open (is xenstored running?): no such entry (ENOENT)",
  );
});

Deno.test("a node's value is read and the library's memory given back", () =>
  withStore((store, stub) => {
    stub.write(`${HOME}/name`, "web01");
    assertEquals(store.read(`${HOME}/name`), "web01");
    assertEquals(stub.freed, 1);
  }));

Deno.test("an empty value is a value, a missing node is none", () =>
  withStore((store, stub) => {
    stub.write(`${HOME}/name`, "");
    assertEquals(store.read(`${HOME}/name`), "");
    assertEquals(stub.freed, 1);
    assertEquals(store.read(`${HOME}/nothing`), undefined);
    // A prefix of a name is no node either
    assertEquals(store.read(`${HOME}/nam`), undefined);
    assertEquals(stub.freed, 1);
  }));

Deno.test("a node is written, and given to a domain, which is told of it", () =>
  withStore((store, stub) => {
    store.write(`${HOME}/name`, "web01");
    assertEquals(store.read(`${HOME}/name`), "web01");
    let changes = 0;
    store.watch(`${HOME}/name`, () => changes++);
    store.dispatch();
    store.giveTo(3, `${HOME}/name`);
    store.dispatch();
    assertEquals([stub.owner(`${HOME}/name`), changes], [3, 2]);

    const missing = assertThrows(() => store.giveTo(3, HOME), XenError);
    assertEquals([missing.call, missing.code], [
      "xs_set_permissions",
      "ENOENT",
    ]);
    stub.refuse(EACCES);
    const refused = assertThrows(() => store.write(HOME, ""), XenError);
    assertEquals([refused.call, refused.code], ["xs_write", "EACCES"]);
  }));

Deno.test("a node that may not be read is none", () =>
  withStore((store, stub) => {
    stub.write(`${HOME}/name`, "web01");
    stub.refuse(EACCES);
    assertEquals(store.read(`${HOME}/name`), undefined);
    assertEquals(store.directory(HOME), []);
  }));

Deno.test("bytes that are no text stay in their places as what they are not", () =>
  withStore((store, stub) => {
    const node = `${HOME}/data`;
    stub.write(node, Uint8Array.of(0x31, 0x00, 0x32));
    assertEquals(store.read(node), "1\x002");
    stub.write(node, Uint8Array.of(0xff, 0x41, 0xc0, 0x80, 0x42));
    assertEquals(store.read(node), "\ufffdA\ufffd\ufffdB");
    stub.write(node, "\ufeff12");
    assertEquals(store.read(node), "\ufeff12");
    stub.write(node, "Grüße\n\x1b[31m 漢 😀");
    assertEquals(store.read(node), "Grüße\n\x1b[31m 漢 😀");
    assertEquals(stub.freed, 4);
  }));

Deno.test("a value is taken up to 4096 bytes and not further", () =>
  withStore((store, stub) => {
    const node = `${HOME}/data`;
    stub.write(node, "x".repeat(4096));
    assertEquals(store.read(node), "x".repeat(4096));
    stub.write(node, "y".repeat(4096) + "z");
    assertEquals(store.read(node), "y".repeat(4096));
    stub.write(node, "w".repeat(1 << 24));
    assertEquals(store.read(node), "w".repeat(4096));
    // A character that the end goes through is told as broken
    stub.write(node, "v".repeat(4095) + "ü");
    assertEquals(store.read(node), "v".repeat(4095) + "\ufffd");
    assertEquals(stub.freed, 4);
  }));

Deno.test("names of the nodes below one are listed", () =>
  withStore((store, stub) => {
    stub.write(`${HOME}/device/0`, "a");
    stub.write(`${HOME}/device/51712`, "b");
    stub.write(`${HOME}/devices`, "no part of it");
    assertEquals(store.directory(`${HOME}/device`).sort(), ["0", "51712"]);
    assertEquals(stub.freed, 1);
  }));

Deno.test("nothing is below a node that is empty or missing", () =>
  withStore((store, stub) => {
    stub.write(`${HOME}/empty`, "");
    assertEquals(store.directory(`${HOME}/empty`), []);
    assertEquals(stub.freed, 1);
    assertEquals(store.directory(`${HOME}/nothing`), []);
    assertEquals(stub.freed, 1);
  }));

Deno.test("of a folder with very many nodes 1024 are listed", () =>
  withStore((store, stub) => {
    for (let index = 0; index < 3000; index++) {
      stub.write(`${HOME}/data/${index}`, "");
    }
    const names = store.directory(`${HOME}/data`);
    assertEquals(names.length, 1024);
    assertEquals(new Set(names).size, 1024);
    assertEquals(names.every((name) => Number(name) < 3000), true);
  }));

Deno.test("a watch calls back at its begin and for what is at or below its node", () =>
  withStore((store, stub) => {
    let calls = 0;
    store.watch(`${HOME}/data`, () => calls++);
    assertEquals(calls, 0);
    store.dispatch();
    assertEquals(calls, 1);
    store.dispatch();
    assertEquals(calls, 1);
    stub.write(`${HOME}/data`, "at");
    store.dispatch();
    stub.write(`${HOME}/data/xkmon/fault-ref`, "below");
    store.dispatch();
    assertEquals(calls, 3);
    stub.write(`${HOME}/database`, "beside");
    store.dispatch();
    assertEquals(calls, 3);
    assertEquals(stub.freed, 3);
  }));

Deno.test("a watch tells of a node that is removed, and of one that comes again", () =>
  withStore((store, stub) => {
    const seen: (string | undefined)[] = [];
    const node = `${HOME}/data/xkmon/fault-ref`;
    stub.write(node, "1");
    store.watch(node, () => seen.push(store.read(node)));
    store.dispatch();
    stub.remove(node);
    store.dispatch();
    stub.write(node, "2");
    store.dispatch();
    assertEquals(seen, ["1", undefined, "2"]);
  }));

Deno.test("a guest that changes a node without end costs one call a turn and loses nothing", () =>
  withStore((store, stub) => {
    const flooded: (string | undefined)[] = [];
    const quiet: string[] = [];
    store.watch(
      `${HOME}/data`,
      () => flooded.push(store.read(`${HOME}/data`)),
    );
    store.watch("@releaseDomain", () => quiet.push("called"));
    store.dispatch();
    for (let index = 1; index <= 5000; index++) {
      stub.write(`${HOME}/data`, String(index));
    }
    stub.write("@releaseDomain", "");
    store.dispatch();
    // The flood is cut so that others have their turn in between
    assertEquals(stub.events, 5001 - 4096);
    assertEquals([flooded.length, quiet.length], [2, 1]);
    store.dispatch();
    assertEquals(stub.events, 0);
    assertEquals([flooded.length, quiet.length], [3, 2]);
    assertEquals(flooded.at(-1), "5000");
  }));

Deno.test("watches of one node are told apart", () =>
  withStore((store, stub) => {
    const calls: string[] = [];
    const end = store.watch(HOME, () => calls.push("first"));
    store.watch(HOME, () => calls.push("second"));
    store.dispatch();
    end();
    stub.write(HOME, "");
    store.dispatch();
    assertEquals(calls, ["first", "second", "second"]);
    assertEquals(stub.watches, 1);
  }));

Deno.test("a watch that has ended is not called for what had come before", () =>
  withStore((store, stub) => {
    let calls = 0;
    const end = store.watch(HOME, () => calls++);
    stub.write(HOME, "");
    end();
    assertEquals(stub.watches, 0);
    store.dispatch();
    assertEquals([calls, stub.events], [0, 0]);
    // Ending it once more is nothing
    end();
  }));

Deno.test("a watch that another one's callback ends is not called", () =>
  withStore((store, stub) => {
    const calls: string[] = [];
    const ends = ["first", "second"].map((name, index) =>
      store.watch(HOME, () => {
        calls.push(name);
        ends[1 - index]!();
      })
    );
    store.dispatch();
    assertEquals(calls, ["first"]);
    assertEquals(stub.watches, 1);
  }));

Deno.test("a watch that xenstored refuses is an error and leaves nothing", () =>
  withStore((store, stub) => {
    stub.refuse(EINVAL);
    const error = assertThrows(
      () => store.watch("not a path", () => {}),
      XenError,
    );
    assertEquals([error.call, error.code], ["xs_watch", "EINVAL"]);
    stub.refuse(0);
    assertEquals(stub.watches, 0);
    store.dispatch();
  }));
