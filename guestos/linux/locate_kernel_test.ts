import { assertEquals, assertThrows } from "@std/assert";
import type { CpuState, HvmCpuState, PvCpuState } from "../cpu_state.ts";
import type { MappedRange } from "../memory.ts";
import { ProfileError } from "../profile_error.ts";
import { locateKernel } from "./locate_kernel.ts";
import { KernelBytes } from "./testing/kernel_bytes.ts";

const BASE = 0xffff_ffff_9a20_0000n;
const HANDLER = BASE + 0x1234n;
const TEXT_SIZE = 0x40_0000n;
const ROOT = 0x1000n;
const IDT = 0xffff_fe00_0000_0000n;

function range(
  start: bigint,
  size: bigint,
  permissions = "",
): MappedRange {
  return {
    start,
    size,
    writable: permissions.includes("w"),
    executable: permissions.includes("x"),
  };
}

/** Memory of data, which only the kernel's own tables map */
const DATA = range(BASE + 0x80_0000n, 0x20_0000n, "w");

const IMAGE = [
  range(BASE, TEXT_SIZE, "x"),
  range(BASE + TEXT_SIZE, 0x20_0000n),
  range(BASE + TEXT_SIZE + 0x20_0000n, 0x20_0000n, "w"),
];

function pv(parts: Partial<PvCpuState> = {}): PvCpuState {
  return {
    kind: "pv",
    vcpu: 0,
    root: ROOT,
    ip: 0x40_1000n,
    traps: [],
    callbacks: { event: 0n, failsafe: 0n, syscall: 0n },
    ...parts,
  };
}

function hvm(parts: Partial<HvmCpuState> = {}): HvmCpuState {
  return {
    kind: "hvm",
    vcpu: 0,
    root: ROOT,
    ip: 0x40_1000n,
    cr0: 0n,
    cr4: 0n,
    ...parts,
  };
}

function msrs(lstar: bigint) {
  return { msrs: { star: 0n, lstar, cstar: 0n, sysenterIp: 0n } };
}

function guest(
  cpus: readonly CpuState[],
  tables: readonly (readonly [bigint, readonly MappedRange[]])[] = [
    [ROOT, IMAGE],
  ],
): KernelBytes {
  const memory = new KernelBytes();
  memory.cpus = cpus;
  memory.tables = new Map(tables);
  return memory;
}

/** An interrupt table in which the page fault has a handler. */
function writeIdt(memory: KernelBytes, handler: bigint) {
  const gate = new Uint8Array(16);
  const view = new DataView(gate.buffer);
  view.setUint16(0, Number(handler & 0xffffn), true);
  view.setUint16(2, 0x10, true);
  view.setUint16(4, 0x8e00, true);
  view.setUint16(6, Number(handler >> 16n & 0xffffn), true);
  view.setUint32(8, Number(handler >> 32n), true);
  memory.write(IDT, new Uint8Array(4096));
  memory.write(IDT + 14n * 16n, gate);
}

/** Base and anchor of a kernel that is found. */
function located(memory: KernelBytes): [bigint, string] {
  const { base, anchor } = locateKernel(memory);
  return [base, anchor];
}

function assertNone(memory: KernelBytes) {
  const error = assertThrows(() => locateKernel(memory), ProfileError);
  assertEquals([error.step, error.isBooting], ["anchor", true]);
}

Deno.test("a PV kernel is where its page-fault trap leads", () => {
  const traps = [
    { vector: 3, address: 1n, cs: 0xe033, flags: 0 },
    { vector: 14, address: HANDLER, cs: 0xe033, flags: 0 },
  ];
  assertEquals(located(guest([pv({ traps })])), [BASE, "page-fault trap"]);
});

Deno.test("a PV kernel without a trap table is where its system calls lead", () => {
  const callbacks = { event: 0n, failsafe: 0n, syscall: HANDLER };
  assertEquals(located(guest([pv({ callbacks })])), [
    BASE,
    "system call callback",
  ]);
});

Deno.test("an HVM kernel is where LSTAR leads", () => {
  assertEquals(located(guest([hvm(msrs(HANDLER))])), [BASE, "LSTAR"]);
});

Deno.test("an HVM kernel whose registers are not known is where its IDT leads", () => {
  const memory = guest([hvm({ idt: { base: IDT, limit: 0xfff } })]);
  writeIdt(memory, HANDLER);
  assertEquals(located(memory), [BASE, "IDT"]);
});

Deno.test("a kernel is where a processor runs it, if nothing else tells", () => {
  for (const cpu of [pv({ ip: HANDLER }), hvm({ ip: HANDLER })]) {
    assertEquals(located(guest([cpu])), [BASE, "RIP"]);
  }
  // An interrupt table that cannot be read
  const idt = { base: IDT, limit: 0xfff };
  assertEquals(located(guest([hvm({ idt, ip: HANDLER })])), [BASE, "RIP"]);
});

Deno.test("an anchor that is none of a kernel gives way to the next", () => {
  const memory = guest([hvm({
    ...msrs(0xffff_ffff_c012_3456n),
    idt: { base: IDT, limit: 0xfff },
    ip: HANDLER,
  })]);
  writeIdt(memory, 0x1000n);
  assertEquals(located(memory), [BASE, "RIP"]);
});

Deno.test("a processor that tells nothing gives way to the next", () => {
  assertEquals(
    located(guest([hvm(), hvm({ vcpu: 1, ...msrs(HANDLER) })])),
    [BASE, "LSTAR"],
  );
});

Deno.test("the image begins where the text does, and has what comes after it", () => {
  const before = range(BASE - 0x20_0000n, 0x10_0000n, "w");
  const memory = guest([hvm(msrs(HANDLER))], [[ROOT, [before, ...IMAGE]]]);
  assertEquals(locateKernel(memory), {
    base: BASE,
    ranges: IMAGE,
    anchor: "LSTAR",
  });
});

Deno.test("with the tables of user mode in use, the kernel's beside them are taken", () => {
  // It looks like the beginning of the image, and is a part of it
  const user = range(BASE, 0x2000n, "x");
  const memory = guest([hvm({ root: ROOT | 1n, ...msrs(HANDLER) })], [
    [ROOT | 1n, [user]],
    [ROOT, IMAGE],
  ]);
  assertEquals(locateKernel(memory).ranges, IMAGE);
  // All that is read from now on is read by them
  assertEquals(
    memory.mapped(0n, 2n ** 64n).ranges.length,
    IMAGE.length,
  );
});

Deno.test("tables of user mode that have nothing beside them lead to no kernel", () => {
  const user = range(BASE, 0x2000n, "x");
  assertNone(guest([hvm({ root: ROOT | 1n, ...msrs(HANDLER) })], [
    [ROOT | 1n, [user]],
  ]));
});

Deno.test("a text that is not where a kernel may begin is none", () => {
  const moved = range(BASE + 0x1000n, TEXT_SIZE, "x");
  assertNone(guest([hvm(msrs(HANDLER))], [[ROOT, [moved, DATA]]]));
});

Deno.test("memory that is not executable is no text", () => {
  for (const permissions of ["", "w"]) {
    assertNone(
      guest([hvm(msrs(HANDLER))], [[
        ROOT,
        [range(BASE, TEXT_SIZE, permissions), DATA],
      ]]),
    );
  }
});

Deno.test("a guest that is no Linux, or has not come up, has no anchor", () => {
  assertNone(guest([pv(), hvm({ vcpu: 1 })]));
  // Addresses outside of where Linux has its image, though they are mapped
  for (
    const address of [
      0xffff_ffff_7fff_f000n,
      0xffff_ffff_c000_0000n,
      0xffff_8000_0000_0000n,
    ]
  ) {
    const text = range(address - address % 0x20_0000n, 0x40_0000n, "x");
    assertNone(guest([hvm(msrs(address))], [[ROOT, [text, DATA]]]));
  }
  // Just behind the text
  assertNone(guest([hvm(msrs(BASE + TEXT_SIZE))]));
});
