import { assertEquals, assertThrows } from "@std/assert";
import { BASE, hex, ImageBuilder } from "../testing/image_builder.ts";
import { patchingOf } from "../testing/patching.ts";
import { branch, CALL, JUMP } from "../x86_branch.ts";
import { patchParavirt } from "./paravirt.ts";

const OPERATIONS = 0x6000;
const TABLE = 0x7000;
const NOP = 0x1000;
const IDENTITY = 0x1010;
const BUG = 0x1020;
const NATIVE_PATCH = 0x1030;
const XEN_PATCH = 0x1040;
const UNLOCK = 0x1050;
const PREEMPTED = 0x1060;
const FUNCTION = 0x1070;

/** Operations by their place in the structure, in pointers */
const SLOTS = {
  patch: 0,
  wbinvd: 1,
  iret: 2,
  save_fl: 3,
  restore_fl: 4,
  irq_disable: 5,
  irq_enable: 6,
  read_cr2: 7,
  read_cr3: 8,
  write_cr3: 9,
  queued_spin_unlock: 10,
  vcpu_is_preempted: 11,
  other: 12,
} as const;
type Operation = keyof typeof SLOTS;

/**
 * A kernel with one place to patch for each of some operations.
 *
 * @param age Whether it has a patcher of its own
 */
function kernel(
  age: "5.10" | "6.1",
  sites: readonly { operation: Operation; length: number }[],
): ImageBuilder {
  const builder = new ImageBuilder();
  const { types } = builder;
  const pointer = types.pointer(0);
  const part = (name: string, members: readonly Operation[]) => ({
    name,
    type: types.struct(
      `pv_${name}_ops`,
      8 * members.length,
      members.map((name, index) => ({ name, type: pointer, bit: 64 * index })),
    ),
    bit: 64 * SLOTS[members[0]!],
  });
  types.struct("paravirt_patch_template", 8 * 13, [
    ...age === "5.10" ? [part("init", ["patch"])] : [],
    part("cpu", ["wbinvd", "iret"]),
    part("irq", ["save_fl", "restore_fl", "irq_disable", "irq_enable"]),
    part("mmu", ["read_cr2", "read_cr3", "write_cr3"]),
    part("lock", ["queued_spin_unlock", "vcpu_is_preempted"]),
  ]);
  builder.data({ pv_ops: OPERATIONS })
    .symbol("_paravirt_nop", NOP)
    .symbol("_paravirt_ident_64", IDENTITY)
    .symbol("paravirt_BUG", BUG)
    .symbol("native_patch", NATIVE_PATCH)
    .symbol("__raw_callee_save___native_queued_spin_unlock", UNLOCK)
    .symbol("__raw_callee_save___native_vcpu_is_preempted", PREEMPTED);
  for (const [index, { operation, length }] of sites.entries()) {
    const entry = TABLE + 16 * index;
    const at = 0x100 + 32 * index;
    builder.u64(entry, BASE + BigInt(at))
      .put(entry + 8, [SLOTS[operation], length])
      .put(at, new Uint8Array(length).fill(0xfe))
      .put(at + length, [0xee]);
  }
  // The last entry has no padding
  return builder.section(".parainstructions", TABLE, 16 * sites.length - 6);
}

/** What stands at each place afterwards. */
function patched(
  age: "5.10" | "6.1",
  operations: Readonly<Partial<Record<Operation, number>>>,
  ...sites: readonly { operation: Operation; length: number }[]
): string[] {
  const guest = new Map(
    Object.entries(operations).map(([name, target]) => {
      const pointer = new Uint8Array(8);
      new DataView(pointer.buffer)
        .setBigUint64(0, BASE + BigInt(target), true);
      return [OPERATIONS + 8 * SLOTS[name as Operation], pointer];
    }),
  );
  const patching = patchingOf(kernel(age, sites), { guest });
  patchParavirt(patching);
  return sites.map(({ length }, index) => {
    const at = 0x100 + 32 * index;
    assertEquals(patching.text[at + length], 0xee);
    return patching.text.subarray(at, at + length).toHex();
  });
}

function plain(...codes: string[]): string[] {
  return codes.map((code) => hex(code).toHex());
}

const CALL_FUNCTION = branch(CALL, 0x100, FUNCTION).toHex();

Deno.test("6.1 calls what the operation is, or nothing where that does nothing", () => {
  const site = { operation: "other", length: 7 } as const;
  assertEquals(
    patched("6.1", { other: FUNCTION }, site),
    plain(`${CALL_FUNCTION} 66 90`),
  );
  assertEquals(
    patched("6.1", { other: NOP }, site),
    plain("0f 1f 80 00 00 00 00"),
  );
  // Nothing there: a call of what stops the kernel
  assertEquals(
    patched("6.1", {}, site),
    plain(`${branch(CALL, 0x100, BUG).toHex()} 66 90`),
  );
  // It knows no instructions, and no function that gives back what it gets
  assertEquals(
    patched("6.1", { irq_disable: IDENTITY }, {
      operation: "irq_disable",
      length: 5,
    }),
    plain(branch(CALL, 0x100, IDENTITY).toHex()),
  );
});

Deno.test("5.10 on bare metal or in HVM writes instructions in place of operations", () => {
  const operations = { patch: NATIVE_PATCH } as const;
  const native: [Operation, string][] = [
    ["irq_disable", "fa 0f 1f 80 00 00 00 00"],
    ["irq_enable", "fb 0f 1f 80 00 00 00 00"],
    ["save_fl", "9c 58 66 0f 1f 44 00 00"],
    ["restore_fl", "57 9d 66 0f 1f 44 00 00"],
    ["read_cr2", "0f 20 d0 0f 1f 44 00 00"],
    ["read_cr3", "0f 20 d8 0f 1f 44 00 00"],
    ["write_cr3", "0f 22 df 0f 1f 44 00 00"],
    ["wbinvd", "0f 09 66 0f 1f 44 00 00"],
  ];
  assertEquals(
    patched(
      "5.10",
      operations,
      ...native.map(([operation]) => ({ operation, length: 8 })),
    ),
    plain(...native.map(([, code]) => code)),
  );
});

Deno.test("5.10 inlines locks only where they are the native ones", () => {
  const sites = (["queued_spin_unlock", "vcpu_is_preempted"] as const).map((
    operation,
  ) => ({ operation, length: 7 }));
  assertEquals(
    patched("5.10", {
      patch: NATIVE_PATCH,
      queued_spin_unlock: UNLOCK,
      vcpu_is_preempted: PREEMPTED,
    }, ...sites),
    plain("c6 07 00 0f 1f 40 00", "31 c0 0f 1f 44 00 00"),
  );
  assertEquals(
    patched("5.10", {
      patch: NATIVE_PATCH,
      queued_spin_unlock: FUNCTION,
      vcpu_is_preempted: NOP,
    }, ...sites),
    plain(`${CALL_FUNCTION} 66 90`, "0f 1f 80 00 00 00 00"),
  );
});

Deno.test("5.10 as a PV guest calls Xen's functions", () => {
  const sites = [
    { operation: "irq_disable", length: 6 },
    { operation: "iret", length: 6 },
    { operation: "read_cr3", length: 6 },
    { operation: "write_cr3", length: 6 },
    { operation: "other", length: 6 },
  ] as const;
  assertEquals(
    patched("5.10", {
      patch: XEN_PATCH,
      irq_disable: FUNCTION,
      iret: FUNCTION,
      read_cr3: IDENTITY,
      write_cr3: NOP,
    }, ...sites),
    plain(
      `${CALL_FUNCTION} 90`,
      `${branch(JUMP, 0x120, FUNCTION).toHex()} 90`,
      "48 89 f8 0f 1f 00",
      "66 0f 1f 44 00 00",
      // Nothing there: ud2
      "0f 0b 0f 1f 40 00",
    ),
  );
});

Deno.test("a place that is too short for its replacement is refused", () => {
  assertThrows(
    () =>
      patched("6.1", { other: FUNCTION }, { operation: "other", length: 4 }),
    SyntaxError,
    "shorter than its replacement",
  );
});

Deno.test("places in code that was freed are left out, and a kernel may have none", () => {
  const builder = kernel("6.1", [{ operation: "other", length: 7 }]);
  builder.u64(TABLE, BASE + 0x1ffen);
  const freed = patchingOf(builder);
  const before = freed.text.slice();
  patchParavirt(freed);
  assertEquals(freed.text, before);
  const none = patchingOf(new ImageBuilder());
  patchParavirt(none);
});
