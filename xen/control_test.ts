import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { XenControl } from "./control.ts";
import { listDomains } from "./domains.ts";
import { LibraryError, XenError } from "./errors.ts";
import { libc } from "./ffi.ts";
import type { HypercallBuffer } from "./hypercall_buffer.ts";
import { domainInfo, hvmCpu, vcpuContext, vcpuInfo } from "./layouts.ts";
import { type Libraries, openFirst, sonames } from "./libraries.ts";
import { fakeStore } from "./testing/fake_store.ts";
import { type XenctrlBehaviour, xenctrlStub } from "./testing/xenctrl_stub.ts";

const EPERM = 1;
const ENOENT = 2;
const EACCES = 13;
const EINVAL = 22;

const libraries = {
  libc: openFirst(sonames.libc, libc),
  logger: null,
} as Libraries;

const folder = await Deno.makeTempDir();
Deno.test.afterAll(() => Deno.remove(folder, { recursive: true }));

const releases = {
  current: {},
  old: { infoSize: 104 },
  otherOne: { listError: EACCES },
  otherTwo: { listError: EACCES },
  unprivileged: { listError: EPERM },
  invalid: { listError: EINVAL },
  noDevice: { openError: ENOENT },
  arm: { without: "xc_translate_foreign_address" },
  incomplete: { without: "xc_vcpu_getinfo" },
  // As large as can be, with bytes that measuring must tell from its fillings
  restA5: { rest: 0xa5 },
  rest5A: { rest: 0x5a },
  oldRestA5: { infoSize: 104, rest: 0xa5 },
  oldRest5A: { infoSize: 104, rest: 0x5a },
} as const satisfies Record<string, XenctrlBehaviour>;

const paths = Object.fromEntries(
  await Promise.all(
    Object.entries(releases).map(async ([name, behaviour]) =>
      [
        name,
        await xenctrlStub(`${folder}/libxenctrl-${name}.so`, behaviour),
      ] as const
    ),
  ),
) as Record<keyof typeof releases, string>;

/** The state of a stub, which is shared with whoever else has opened it. */
function stubState(path: string) {
  const library = Deno.dlopen(path, {
    stub_interfaces: { parameters: [], result: "i32" },
    stub_paused: { parameters: [], result: "i32" },
    stub_taken: { parameters: [], result: "i32" },
  });
  return {
    interfaces: () => library.symbols.stub_interfaces(),
    paused: () => library.symbols.stub_paused(),
    taken: () => library.symbols.stub_taken(),
    [Symbol.dispose]: () => library.close(),
  };
}

/** Whether this process has a library mapped. */
function isLoaded(path: string): boolean {
  return Deno.readTextFileSync("/proc/self/maps").includes(path);
}

Deno.test("the library that Xen answers is taken, others are closed", () => {
  using refused = stubState(paths.otherOne);
  using taken = stubState(paths.current);
  {
    using control = new XenControl(libraries, [
      `${folder}/libxenctrl-none.so`,
      paths.otherOne,
      paths.current,
      paths.old,
    ]);
    assertEquals(control.library, paths.current);
    assertEquals(control.domainInfoSize, 112);
    assertEquals([refused.interfaces(), taken.interfaces()], [0, 1]);
    assert(!isLoaded(paths.old), "a library behind the taken one was opened");
  }
  assertEquals(taken.interfaces(), 0);
});

Deno.test("a library that lacks a function is passed over", () => {
  using control = new XenControl(libraries, [paths.incomplete, paths.current]);
  assertEquals(control.library, paths.current);
});

Deno.test("libraries that all are for another Xen are one error that names them", () => {
  const error = assertThrows(
    () => new XenControl(libraries, [paths.otherOne, paths.otherTwo]),
    LibraryError,
  );
  assertEquals(
    error.message,
    `Xen does not answer ${paths.otherOne}, ${paths.otherTwo}: install the ` +
      "Xen libraries of the release that runs (xl info | grep xen_version)",
  );
  assert(!isLoaded(paths.otherOne) && !isLoaded(paths.otherTwo), "still open");
});

Deno.test("an incomplete library is told beside the ones that Xen does not answer", () => {
  const error = assertThrows(
    () => new XenControl(libraries, [paths.incomplete, paths.otherOne]),
    LibraryError,
    `Xen does not answer ${paths.otherOne}:`,
  );
  assert(
    error.message.includes(`; ${paths.incomplete} lacks a function`),
    error.message,
  );
  assert(error.message.includes("xc_vcpu_getinfo"), error.message);
  assertEquals(error.message.includes("\n"), false);
});

Deno.test("an incomplete library alone is named with what it lacks", () => {
  const { message } = assertThrows(
    () => new XenControl(libraries, [paths.incomplete]),
    LibraryError,
    `${paths.incomplete} lacks a function`,
  );
  assert(message.includes("xc_vcpu_getinfo"), message);
});

Deno.test("no library at all is an error that names what was tried", () => {
  assertThrows(
    () => new XenControl(libraries, ["libxenctrl.so.4.99"]),
    LibraryError,
    "libxenctrl was not found (tried libxenctrl.so.4.99)",
  );
});

Deno.test("where Xen permits nothing is no Dom0, whatever library is next", () => {
  const error = assertThrows(
    () => new XenControl(libraries, [paths.unprivileged, paths.current]),
    LibraryError,
    "This is no Xen Dom0, or its privcmd driver is not loaded: " +
      "xc_domain_getinfolist: not permitted (EPERM)",
  );
  assert(error.cause instanceof XenError);
  assert(!isLoaded(paths.unprivileged), "still open");
});

Deno.test("where the interface cannot be opened is no Dom0", () => {
  const error = assertThrows(
    () => new XenControl(libraries, [paths.noDevice, paths.current]),
    LibraryError,
    "This is no Xen Dom0, or its privcmd driver is not loaded: " +
      "xc_interface_open: no such entry (ENOENT)",
  );
  assert(error.cause instanceof XenError);
  assert(!isLoaded(paths.noDevice), "still open");
});

Deno.test("another error of Xen is told as it is", () => {
  const error = assertThrows(
    () => new XenControl(libraries, [paths.invalid, paths.current]),
    XenError,
  );
  assertEquals([error.call, error.code], ["xc_domain_getinfolist", "EINVAL"]);
  assert(!isLoaded(paths.invalid), "still open");
});

Deno.test("a domain's structure is measured, whatever bytes are in it", () => {
  const measured = Object.fromEntries(
    (["current", "old", "restA5", "rest5A", "oldRestA5", "oldRest5A"] as const)
      .map((name) => {
        using control = new XenControl(libraries, [paths[name]]);
        return [name, control.domainInfoSize];
      }),
  );
  assertEquals(measured, {
    current: 112,
    old: 104,
    restA5: 112,
    rest5A: 112,
    oldRestA5: 104,
    oldRest5A: 104,
  });
});

for (const [name, size] of [["current", 112], ["old", 104]] as const) {
  Deno.test(`domains are told apart where one takes ${size} bytes`, () => {
    using control = new XenControl(libraries, [paths[name]]);
    const list = (first: number, max: number) =>
      control.domainInfoList(first, max).map((view) => [
        view.byteLength,
        view.getUint16(domainInfo.domain, true),
        view.getBigUint64(domainInfo.tot_pages, true),
      ]);
    assertEquals(list(0, 1024), [
      [size, 0, 1000n],
      [size, 3, 1003n],
      [size, 7, 1007n],
    ]);
    assertEquals(list(0, 2), [[size, 0, 1000n], [size, 3, 1003n]]);
    assertEquals(list(4, 1), [[size, 7, 1007n]]);
    assertEquals(list(8, 16), []);
    assertEquals(
      listDomains(control, fakeStore({ "/local/domain/7/name": "web01" })).at(
        -1,
      ),
      {
        id: 7,
        name: "web01",
        uuid: "17171717-1717-1717-1717-171717171717",
        type: "PV",
        paused: true,
        dying: false,
        state: "paused",
        pages: 1007,
        maxPages: 2007,
        cpuTime: 0n,
        onlineVcpus: 3,
        maxVcpus: 4,
      },
    );
  });
}

Deno.test("the version of Xen is read whole, even where its text is not ended", () => {
  using control = new XenControl(libraries, [paths.current]);
  assertEquals(control.xenVersion(), "4.17.7-of-15-letters");
});

Deno.test("structures of a virtual CPU are taken in full", () => {
  using control = new XenControl(libraries, [paths.current]);
  const context = new Uint8Array(control.vcpuContext(3, 1).buffer);
  const info = new Uint8Array(control.vcpuInfo(3, 2).buffer);
  assertEquals(context, new Uint8Array(vcpuContext.size).fill(0x21));
  assertEquals(info, new Uint8Array(vcpuInfo.size).fill(0x32));
});

Deno.test("the processor of a guest with hardware virtualization is asked for by its code", () => {
  using control = new XenControl(libraries, [paths.current]);
  const view = control.hvmCpu(3, 1);
  assertEquals(view.getUint8(hvmCpu.msr_cstar), 0x60 + hvmCpu.code + 1);
});

Deno.test("the processor of a guest that is dying is gone", () => {
  using control = new XenControl(libraries, [paths.current]);
  const error = assertThrows(() => control.hvmCpu(9, 0), XenError);
  assertEquals(error.code, "ESRCH");
});

Deno.test("an address is translated, and one that nothing is mapped to is not", () => {
  using control = new XenControl(libraries, [paths.current]);
  assertEquals(
    control.translate(3, 0, 0xffff_ffff_8010_9030n),
    0xffff_ffff_8010_9030n >> 12n,
  );
  assertEquals(control.translate(3, 0, 0x30n), undefined);
});

Deno.test("a guest's events come on a page, with the port of their channel", () => {
  using control = new XenControl(libraries, [paths.current]);
  {
    using page = control.enableMonitor(3);
    assertEquals(page.port, 43);
    assertEquals(new Uint8Array(page.bytes), new Uint8Array(4096).fill(3));
  }
  control.disableMonitor(3);
});

Deno.test("it is asked which events of a guest can be told", () => {
  using control = new XenControl(libraries, [paths.current]);
  assertEquals(control.monitorCapabilities(3), 5);
  const error = assertThrows(() => control.monitorCapabilities(7), XenError);
  assertEquals(error.code, "ENOSYS");
});

Deno.test("changes of registers are told, and can be denied", () => {
  using control = new XenControl(libraries, [paths.current]);
  control.controlRegisterValues(3);
  control.tellControlRegister(3, "cr0", 1n << 16n);
  control.tellControlRegister(3, "cr4", 1n << 16n);
  assertThrows(() => control.tellControlRegister(3, "cr4", 1n), XenError);
  control.tellMsr(3, 0xc000_0082);
  assertThrows(() => control.tellMsr(3, 0x10), XenError);
});

Deno.test("accesses to descriptor tables are told, until they are not", () => {
  using control = new XenControl(libraries, [paths.current]);
  for (const tell of [true, false]) {
    control.tellDescriptorTables(3, tell);
    const error = assertThrows(
      () => control.tellDescriptorTables(3, tell),
      XenError,
    );
    assertEquals(error.code, "EEXIST");
  }
});

Deno.test("steps are told, and end", () => {
  using control = new XenControl(libraries, [paths.current]);
  control.tellSteps(3);
  control.endSteps(3, 1);
  assertThrows(() => control.endSteps(3, 2), XenError);
});

Deno.test("what pages allow is set for any number of them", () => {
  using control = new XenControl(libraries, [paths.current]);
  control.setAccess(3, [], "r-x");
  control.setAccess(3, [0n, 15n], "r-x");
  control.setAccess(3, [7n], "rwx");
  assertThrows(() => control.setAccess(3, [7n, 16n], "rwx"), XenError);
});

Deno.test("a library of Arm is taken, and says that it cannot translate", () => {
  using control = new XenControl(libraries, [paths.arm]);
  assertThrows(
    () => control.translate(3, 0, 0n),
    LibraryError,
    `${paths.arm} has no xc_translate_foreign_address`,
  );
});

Deno.test("a domain is paused and let run", () => {
  using state = stubState(paths.current);
  using control = new XenControl(libraries, [paths.current]);
  control.pause(3);
  control.pause(3);
  control.unpause(3);
  assertEquals(state.paused(), 1);
  control.unpause(3);
  assertEquals(state.paused(), 0);
});

Deno.test("Dom0 takes memory, more than it may have if need be, and gives it back", () => {
  using state = stubState(paths.current);
  using control = new XenControl(libraries, [paths.current]);
  const few = control.takeFrames(2);
  assertEquals(few, [0x5000n, 0x5001n]);
  const many = control.takeFrames(1200);
  assertEquals([many.length, many.at(-1)], [1200, 0x5000n + 1201n]);
  control.giveFrames([...few, ...many]);
  control.giveFrames([]);
  assertEquals(state.taken(), 0);
  const error = assertThrows(() => control.giveFrames([1n]), XenError);
  assertEquals(error.code, "EINVAL");
});

Deno.test("where Xen has too little memory Dom0 takes none of it", () => {
  using state = stubState(paths.current);
  using control = new XenControl(libraries, [paths.current]);
  const error = assertThrows(() => control.takeFrames(1501), XenError);
  assertEquals([error.code, state.taken()], ["ENOMEM", 0]);
});

/** Memory of our own, which is as good to a library that makes no hypercall. */
function bufferOf(bytes: Uint8Array<ArrayBuffer>): HypercallBuffer {
  const address = Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));
  return { address: BigInt(address), bytes, [Symbol.dispose]: () => {} };
}

Deno.test("the log of what a guest writes begins once, is read and ends", () => {
  using control = new XenControl(libraries, [paths.current]);
  const bitmap = new Uint8Array(8);
  const read = () => {
    control.readDirtyLog(3, bufferOf(bitmap.fill(0xff)));
    return [...bitmap];
  };
  const nothing = Array(8).fill(0);
  assertEquals(read(), nothing);
  control.startDirtyLog(3);
  assertEquals(read(), nothing.with(0, 1 << 3));
  const error = assertThrows(() => control.startDirtyLog(3), XenError);
  assertEquals(error.code, "EINVAL");
  control.endDirtyLog(3);
  assertEquals(read(), nothing);
});

Deno.test("a log of which Xen tells less than was asked for is an error", () => {
  using control = new XenControl(libraries, [paths.current]);
  const error = assertThrows(
    () => control.readDirtyLog(3, bufferOf(new Uint8Array(9))),
    XenError,
  );
  assertEquals([error.call, error.code], ["xc_domctl", "EINVAL"]);
});

Deno.test("what is asked of a domain that is gone fails with Xen's error", async () => {
  using control = new XenControl(libraries, [paths.current]);
  control.reboot(3);
  await control.destroy(3);
  const calls: readonly [string, () => void][] = [
    ["xc_domain_pause", () => control.pause(4)],
    ["xc_domain_unpause", () => control.unpause(4)],
    ["xc_domain_shutdown", () => control.reboot(4)],
    ["xc_vcpu_getcontext", () => void control.vcpuContext(4, 0)],
    ["xc_vcpu_getinfo", () => void control.vcpuInfo(4, 0)],
    ["xc_monitor_enable", () => control.enableMonitor(4)],
    ["xc_monitor_disable", () => control.disableMonitor(4)],
    ["xc_domctl", () => control.controlRegisterValues(4)],
    ["xc_domctl", () => control.startDirtyLog(4)],
    ["xc_domctl", () => control.endDirtyLog(4)],
    [
      "xc_domctl",
      () => control.readDirtyLog(4, bufferOf(new Uint8Array(1))),
    ],
    [
      "xc_monitor_write_ctrlreg",
      () => control.tellControlRegister(4, "cr0", 1n << 16n),
    ],
    ["xc_monitor_mov_to_msr", () => control.tellMsr(4, 0xc000_0082)],
    [
      "xc_monitor_descriptor_access",
      () => control.tellDescriptorTables(4, true),
    ],
    ["xc_monitor_singlestep", () => control.tellSteps(4)],
    ["xc_domain_debug_control", () => control.endSteps(4, 0)],
    ["xc_set_mem_access_multi", () => control.setAccess(4, [1n], "rwx")],
  ];
  for (const [call, use] of calls) {
    const error = assertThrows(use, XenError);
    assertEquals([error.call, error.code], [call, "ESRCH"]);
  }
  await assertRejects(() => control.destroy(4), Error, "xc_domain_destroy(4)");
});
