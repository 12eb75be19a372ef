import { assert, assertEquals } from "@std/assert";
import { constants } from "../xen/constants.ts";
import { listDevices } from "../xen/devices.ts";
import { listDomains } from "../xen/domains.ts";
import * as layouts from "../xen/layouts.ts";
import { fakeControl } from "../xen/testing/fake_control.ts";
import { fakeStore } from "../xen/testing/fake_store.ts";
import { compile } from "./probe/compile.ts";

type Table = Record<string, number>;

/** What the installed headers say, by table and entry. */
async function probe(): Promise<Record<string, Table>> {
  const program = await Deno.makeTempFile();
  try {
    const source = new URL("probe/layouts.c", import.meta.url).pathname;
    await compile([source, "-o", program]);
    const { stdout } = await new Deno.Command(program, {
      signal: AbortSignal.timeout(10_000),
    }).output();
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(program);
  }
}

const installed = await probe();

Deno.test("layouts and constants are those of the installed headers, each of them", () => {
  const {
    PAGE_SIZE,
    domainInfo: { sizes, ...domainInfo },
    vmEvent: { sizes: eventSizes, ...vmEvent },
    ...rest
  } = layouts;
  const {
    page,
    domainInfo: { size, ...installedDomainInfo },
    vmEvent: { size: eventSize, ...installedVmEvent },
    shutdownReasons: _reasons,
    xenbusStates: _states,
    ...others
  } = installed as
    & typeof installed
    & Record<"page" | "domainInfo" | "vmEvent", Table>;
  assertEquals(page, { size: PAGE_SIZE });
  // Two sizes are known, of older releases and of newer ones
  assert((sizes as readonly number[]).includes(size!), `${size}`);
  assert((eventSizes as readonly number[]).includes(eventSize!));
  assertEquals<unknown>(
    { domainInfo, vmEvent, ...rest, constants },
    { domainInfo: installedDomainInfo, vmEvent: installedVmEvent, ...others },
  );
});

Deno.test("why a domain stopped is named as the headers number it", () => {
  const reasons = installed.shutdownReasons!;
  assert(Object.keys(reasons).length > 1);
  for (const [name, reason] of Object.entries(reasons)) {
    const { shutdown, shutdownshift } = installed.domainFlags!;
    const [domain] = listDomains(
      fakeControl([{ id: 3, flags: shutdown! | reason << shutdownshift! }]),
      fakeStore({}),
    );
    assertEquals<unknown>(domain!.shutdown, name);
  }
});

Deno.test("the state of a device is named as the headers number it", () => {
  const states = installed.xenbusStates!;
  assert(Object.keys(states).length > 1);
  for (const [name, state] of Object.entries(states)) {
    const [device] = listDevices(
      fakeStore({ "/libxl/3/device/vif/0/state": `${state}` }),
      3,
    );
    assertEquals(device!.state, name);
  }
});
