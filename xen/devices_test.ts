import { assertEquals } from "@std/assert";
import { listDevices } from "./devices.ts";
import { fakeStore } from "./testing/fake_store.ts";

Deno.test("devices are listed as the toolstack recorded them", () => {
  const store = fakeStore({
    "/libxl/5/device/vif/0/frontend": "/local/domain/5/device/vif/0",
    "/libxl/5/device/vif/0/backend-id": "2",
    "/libxl/5/device/vbd/51712/frontend": "/local/domain/5/device/vbd/51712",
    "/libxl/5/device/vbd/51712/backend-id": "0",
    "/local/domain/5/device/vif/0/state": "4",
    "/local/domain/5/device/vbd/51712/state": "1",
    "/libxl/6/device/vif/0/backend-id": "0",
  });
  assertEquals(listDevices(store, 5), [
    { kind: "vif", id: "0", state: "connected", backend: 2 },
    { kind: "vbd", id: "51712", state: "initialising", backend: 0 },
  ]);
});

Deno.test("what the guest adds to its own part is no device where the toolstack has a record", () => {
  const store = fakeStore({
    "/libxl/5/device/vif/0/backend-id": "0",
    "/local/domain/5/device/vtpm/0/backend-id": "0",
  });
  assertEquals(listDevices(store, 5).map(({ kind }) => kind), ["vif"]);
});

Deno.test("without the toolstack's record the guest's part tells", () => {
  const store = fakeStore({
    "/local/domain/5/device/vif/0/backend-id": "0",
    "/local/domain/5/device/vif/0/state": "4",
  });
  assertEquals(listDevices(store, 5), [
    { kind: "vif", id: "0", state: "connected", backend: 0 },
  ]);
});

Deno.test("a state that makes no sense is unknown", () => {
  for (const state of ["9", "44", "-1", "x", "", "4\n5"]) {
    const store = fakeStore({ "/local/domain/5/device/vif/0/state": state });
    assertEquals(listDevices(store, 5)[0]!.state, "unknown");
  }
});

Deno.test("a backend that makes no sense is not shown as a number", () => {
  const store = fakeStore({ "/local/domain/5/device/vif/0/backend-id": "x" });
  assertEquals(listDevices(store, 5)[0]!.backend, 0);
});

Deno.test("a guest without devices has none", () => {
  assertEquals(listDevices(fakeStore({}), 5), []);
});
