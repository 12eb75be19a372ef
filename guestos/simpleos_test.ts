import { assertEquals, assertThrows } from "@std/assert";
import { KernelFile } from "./kernel_file.ts";
import type { HvmCpuState } from "./cpu_state.ts";
import {
  type GuestMemory,
  type KernelMemory,
  UnreadableMemoryError,
} from "./memory.ts";
import { simpleos } from "./simpleos.ts";
import { elfImage, type ElfImageOptions } from "./testing/elf_image.ts";

const BASE = 0xffffffff80000000n;
const NOTES = [
  { owner: "Xen", type: 6, description: "SimpleOS" },
  { owner: "Xen", type: 7, description: "1.0" },
];

/** Two pages of text, five pages of invariant data, one of other data. */
const IMAGE = Uint8Array.from(
  { length: 8 * 4096 },
  (_, i) => i < 7 * 4096 ? i % 251 : 0,
);

const SYMBOLS: NonNullable<ElfImageOptions["symbols"]> = [
  { name: "_text", address: BASE },
  { name: "page_fault_entry", address: BASE + 0x100n, size: 16n },
  { name: "_etext", address: BASE + 0x2000n },
  { name: "__invariant_start", address: BASE + 0x2000n },
  { name: "sys_call_table", address: BASE + 0x3000n, size: 2048n, type: 1 },
  { name: "exit_p", address: BASE + 0x3000n, size: 8n, type: 1 },
  { name: "shutdown_p", address: BASE + 0x3010n, size: 8n, type: 1 },
  { name: "file_operations", address: BASE + 0x4000n, size: 4097n, type: 1 },
  { name: "__invariant_end", address: BASE + 0x7000n },
  { name: "guard_after", address: BASE + 0x7000n, size: 4096n, type: 1 },
  { name: "boot_complete", address: BASE + 0x7008n, size: 4n, type: 1 },
];

function kernel(changes: Partial<ElfImageOptions> = {}): KernelFile {
  const { bytes } = elfImage({
    loads: [{ address: BASE, bytes: IMAGE }],
    notes: NOTES,
    symbols: SYMBOLS,
    ...changes,
  });
  return new KernelFile("/boot/simpleos.elf", bytes);
}

function moved(name: string, address: bigint, size = 0n): KernelFile {
  return kernel({
    symbols: [
      ...SYMBOLS.filter((symbol) => symbol.name !== name),
      { name, address, size },
    ],
  });
}

Deno.test("SimpleOS is recognised by its note, other systems are not", () => {
  assertEquals(simpleos.recognises(kernel()), true);
  for (const description of ["linux", "simpleos", "SimpleOS 2", ""]) {
    const notes = [{ owner: "Xen", type: 6, description }];
    assertEquals(simpleos.recognises(kernel({ notes })), false);
  }
  assertEquals(simpleos.recognises(kernel({ notes: [] })), false);
});

Deno.test("its regions are the text, each invariant object and the pages between", () => {
  const { os, regions } = simpleos.open(kernel());
  assertEquals(os, "SimpleOS 1.0");
  assertEquals(
    regions.map(({ name, kind, start, size }) => [
      name,
      kind,
      start - BASE,
      size,
    ]),
    [
      ["kernel text", "code", 0n, 0x2000],
      ["invariant data", "data", 0x2000n, 0x1000],
      ["sys_call_table", "data", 0x3000n, 0x1000],
      ["file_operations", "data", 0x4000n, 0x2000],
      ["invariant data", "data", 0x6000n, 0x1000],
    ],
  );
});

Deno.test("the trusted bytes of each region are the file's", () => {
  for (const { start, size, trusted } of simpleos.open(kernel()).regions) {
    const offset = Number(start - BASE);
    assertEquals(trusted, IMAGE.slice(offset, offset + size));
  }
});

Deno.test("an object never reaches beyond the invariant data", () => {
  const { regions } = simpleos.open(
    moved("file_operations", BASE + 0x4000n, 0x100000n),
  );
  assertEquals(regions.at(-1)?.name, "file_operations");
  assertEquals(regions.at(-1)?.size, 0x3000);
});

Deno.test("an address resolves to the slot of the table", () => {
  const { symbols } = simpleos.open(kernel());
  assertEquals(symbols.describe(BASE + 0x3010n), "shutdown_p");
  assertEquals(symbols.describe(BASE + 0x3020n), "sys_call_table+0x20");
  assertEquals(symbols.describe(BASE + 0x7008n), "boot_complete");
});

Deno.test("the page-fault handler is known, the others if the file tells them", () => {
  const page = BASE + 0x100n;
  assertEquals(simpleos.open(kernel()).handlers, new Map([[14, page]]));

  const image = IMAGE.slice();
  const view = new DataView(image.buffer);
  view.setUint8(0x7010, 3);
  view.setBigUint64(0x7018, BASE + 0x200n, true);
  const file = kernel({
    loads: [{ address: BASE, bytes: image }],
    symbols: [...SYMBOLS, { name: "trap_table", address: BASE + 0x7010n }],
  });
  assertEquals(
    simpleos.open(file).handlers,
    new Map([[3, BASE + 0x200n], [14, page]]),
  );
});

/** Memory of a PVH guest that has page tables, or none yet. */
function pvhMemory(
  { paging = true } = {},
): Pick<KernelMemory, "cpus" | "read"> {
  const cpu = { kind: "hvm", vcpu: 0, root: 1n, ip: 0n, cr0: 0n, cr4: 0n };
  return {
    cpus: [cpu as HvmCpuState],
    read(address, length) {
      if (!paging) throw new UnreadableMemoryError(address, "not-present");
      return new Uint8Array(length);
    },
  };
}

/** The page of other data as the interrupt table. */
const WITH_IDT = kernel({
  symbols: [...SYMBOLS, {
    name: "idt_table",
    address: BASE + 0x7000n,
    size: 4096n,
    type: 1,
  }],
});

Deno.test("as a PVH guest it is compared, not protected, and its interrupt table is known", () => {
  const { regions, protectable, idt } = simpleos.open(WITH_IDT, pvhMemory());
  assertEquals(protectable, false);
  assertEquals(idt, BASE + 0x7000n);
  assertEquals(
    regions.map(({ name, kind, writable, assets }) => [
      name,
      kind,
      writable,
      assets?.map(({ kind }) => kind),
    ]),
    [
      ["kernel text", "code", undefined, undefined],
      ["invariant data", "data", true, undefined],
      ["sys_call_table", "data", true, undefined],
      ["file_operations", "data", true, undefined],
      ["invariant data", "data", true, undefined],
      ["interrupt descriptor table", "data", undefined, ["descriptor table"]],
    ],
  );
  assertEquals(regions.at(-1)?.trusted, IMAGE.slice(0x7000));
});

Deno.test("as a PV guest it is protected, whatever interrupt table its file has", () => {
  const { regions, protectable, idt } = simpleos.open(WITH_IDT);
  assertEquals(protectable, true);
  assertEquals(idt, undefined);
  assertEquals(regions.length, 5);
  assertEquals(regions.some(({ writable }) => writable), false);
});

Deno.test("a PVH guest without an interrupt table of its own is known all the same", () => {
  const { regions, idt } = simpleos.open(kernel(), pvhMemory());
  assertEquals(idt, undefined);
  assertEquals(regions.length, 5);
});

Deno.test("a PVH guest that has no page tables yet has no profile yet", () => {
  assertThrows(
    () => simpleos.open(WITH_IDT, pvhMemory({ paging: false })),
    UnreadableMemoryError,
  );
});

Deno.test("it has booted when boot_complete is 1, and no earlier", () => {
  const profile = simpleos.open(kernel());
  const memory = (value: number): GuestMemory => ({
    read(address, length) {
      assertEquals([address, length], [BASE + 0x7008n, 4]);
      const bytes = new Uint8Array(12);
      new DataView(bytes.buffer).setUint32(8, value, true);
      return bytes.subarray(8);
    },
  });
  assertEquals(profile.booted(memory(1)), true);
  assertEquals(profile.booted(memory(0)), false);
  assertEquals(profile.booted(memory(0x01000000)), false);
  assertThrows(
    () =>
      profile.booted({
        read: (address) => {
          throw new UnreadableMemoryError(address, "not-present");
        },
      }),
    UnreadableMemoryError,
  );
});

Deno.test("a file that lacks a symbol is refused by the symbol's name", () => {
  for (
    const name of [
      "_text",
      "_etext",
      "__invariant_start",
      "__invariant_end",
      "page_fault_entry",
      "boot_complete",
    ]
  ) {
    const symbols = SYMBOLS.filter((symbol) => symbol.name !== name);
    assertThrows(
      () => simpleos.open(kernel({ symbols })),
      SyntaxError,
      `/boot/simpleos.elf lacks the symbol ${name}`,
    );
  }
});

Deno.test("ranges that are unaligned, empty, reversed or huge are refused", () => {
  for (
    const address of [BASE + 0x1001n, BASE, BASE - 0x1000n, BASE + 0x8000000n]
  ) {
    assertThrows(
      () => simpleos.open(moved("_etext", address)),
      SyntaxError,
      "_etext",
    );
  }
});

Deno.test("a region that the file does not hold whole is refused by its name", () => {
  const loads = [{ address: BASE, bytes: IMAGE.slice(0, 0x1fff) }];
  assertThrows(
    () => simpleos.open(kernel({ loads })),
    SyntaxError,
    "does not hold the whole kernel text",
  );
});
