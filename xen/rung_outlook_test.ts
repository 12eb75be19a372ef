import { assertEquals, assertThrows } from "@std/assert";
import type { XenControl } from "./control.ts";
import { domainById } from "./domains.ts";
import { XenError } from "./errors.ts";
import { domainFlags } from "./layouts.ts";
import { rungOutlook } from "./rung_outlook.ts";
import { fakeControl } from "./testing/fake_control.ts";
import { fakeStore } from "./testing/fake_store.ts";

const ESRCH = 3;
const ENOSYS = 38;
const WRITE_CTRLREG = 1 << 0;
const SINGLESTEP = 1 << 2;

interface Setting {
  readonly flags?: number;
  readonly capabilities?: number | XenError;
  readonly maxVcpus?: number;
}

/** What is told of a guest: each means, with why it cannot be used. */
function outlook({ flags = 0, capabilities = 0, maxVcpus = 1 }: Setting) {
  const listing = fakeControl([{ id: 5, flags }]);
  const control = {
    monitorCapabilities: () => {
      if (typeof capabilities !== "number") throw capabilities;
      return capabilities;
    },
  } as unknown as XenControl;
  const domain = domainById(listing, fakeStore({}), 5)!;
  const told = rungOutlook(control, { ...domain, maxVcpus });
  return Object.fromEntries(
    told.map(({ means, unavailable = "" }) => [means, unavailable]),
  );
}

const HVM = domainFlags.hvm_guest;
const PV_ONLY = { lock: "of PV guests only", protect: "of PV guests only" };

Deno.test("a PV guest can be locked, and Xen tells no events of it", () => {
  const other = "of PVH and HVM guests only";
  assertEquals(outlook({}), {
    trap: other,
    gate: other,
    lock: "",
    protect: "",
    dirty: other,
    poll: "",
    registers: other,
  });
});

Deno.test("a guest on a processor that single-steps can be trapped", () => {
  assertEquals(
    outlook({ flags: HVM, capabilities: WRITE_CTRLREG | SINGLESTEP }),
    { trap: "", gate: "", ...PV_ONLY, dirty: "", poll: "", registers: "" },
  );
});

Deno.test("a guest on another processor can be gated", () => {
  assertEquals(outlook({ flags: HVM, capabilities: WRITE_CTRLREG }), {
    trap: "on processors of Intel only",
    gate: "",
    ...PV_ONLY,
    dirty: "",
    poll: "",
    registers: "",
  });
});

Deno.test("what a guest has too many virtual CPUs for is said", () => {
  const { trap, gate, registers } = outlook({
    flags: HVM,
    capabilities: WRITE_CTRLREG | SINGLESTEP,
    maxVcpus: 8,
  });
  const many = "of at most 7 virtual CPUs, and it has 8";
  assertEquals([trap, gate, registers], [many, "", many]);
  const most = outlook({ flags: HVM, maxVcpus: 129 });
  assertEquals(most.gate, "of at most 128 virtual CPUs, and it has 129");
});

Deno.test("a Xen without events is told, and a guest that is gone is an error", () => {
  const call = "xc_monitor_get_capabilities";
  const { trap, registers } = outlook({
    flags: HVM,
    capabilities: new XenError(call, ENOSYS),
  });
  assertEquals(trap, "this Xen tells no events (ENOSYS)");
  assertEquals(registers, trap);
  assertThrows(
    () => outlook({ flags: HVM, capabilities: new XenError(call, ESRCH) }),
    XenError,
  );
});
