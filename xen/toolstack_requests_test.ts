import { assertEquals } from "@std/assert";
import { XenStore } from "./store.ts";
import { XenstoreStub } from "./testing/xenstore_stub.ts";
import { ToolstackRequests } from "./toolstack_requests.ts";

const NODE = "/local/domain/3/control/shutdown";

const folder = await Deno.makeTempDir();
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));
const library = await XenstoreStub.compile(`${folder}/libxenstore.so`);

Deno.test("requests are held back, and seen when they are released", () => {
  using stub = new XenstoreStub(library);
  using store = new XenStore(stub.libraries);
  stub.write(NODE, "");
  const requests = new ToolstackRequests(store, 3);
  requests.hold();
  assertEquals([stub.owner(NODE), requests.asked], [0, undefined]);
  stub.write(NODE, "suspend");
  assertEquals(requests.asked, "suspend");
  requests.release();
  assertEquals([stub.owner(NODE), requests.asked], [3, "suspend"]);
});

Deno.test("where there is no node yet a request is held back as well", () => {
  using stub = new XenstoreStub(library);
  using store = new XenStore(stub.libraries);
  new ToolstackRequests(store, 3).hold();
  assertEquals([stub.owner(NODE), store.read(NODE)], [0, ""]);
});

Deno.test("the requests to a guest that is gone need no release", () => {
  using stub = new XenstoreStub(library);
  using store = new XenStore(stub.libraries);
  new ToolstackRequests(store, 3).release();
  assertEquals(stub.owner(NODE), -1);
});
