import { assertEquals, assertThrows } from "@std/assert";
import { predictText } from "./predict_text.ts";
import { BASE, hex, ImageBuilder, s32 } from "./testing/image_builder.ts";
import { KernelBytes } from "./testing/kernel_bytes.ts";
import { branch, CALL, JUMP } from "./x86_branch.ts";

const END = 0x2000;
const THUNKS = 0x1000;
const RETURN_THUNK = 0x1400;
const FUNCTION = 0x1500;
const XEN_IRET = 0x1600;
/** Data */
const CPU = 0x6000;
const LABEL_KEY = 0x6100;
const CALL_KEY = 0x6108;
const UNIPROCESSOR = 0x6110;
const POINTER = 0x6118;
const PV_OPS = 0x6120;
const FEATURE = 3;

/** A kernel with one place of each kind: what it has in its file. */
function kernel(
  { ofFile = true, paravirtLast = false, alternatives = true } = {},
): ImageBuilder {
  const builder = new ImageBuilder();
  const { types, view } = builder;
  types.struct("alt_instr", 14, []);
  types.struct("cpuinfo_x86", 64, [
    {
      name: "x86_capability",
      type: types.array(types.int("u32", 4), 4),
      bit: 0,
    },
  ]);
  const pointer = types.pointer(0);
  const init = types.struct("pv_init_ops", 8, [
    { name: "patch", type: pointer, bit: 0 },
  ]);
  types.struct("paravirt_patch_template", 16, [
    { name: paravirtLast ? "init" : "lazy", type: init, bit: 64 },
  ]);
  builder.symbol("_text", 0).symbol("_etext", END)
    .symbol("__x86_indirect_thunk_array", THUNKS)
    .symbol("__x86_return_thunk", RETURN_THUNK)
    .symbol("x86_return_thunk", 0x6200, "D")
    .symbol("xen_iret", XEN_IRET)
    .symbol("early_xen_iret_patch", 0x600)
    .symbol("native_patch", 0x1700)
    .data({
      boot_cpu_data: CPU,
      uniproc_patched: UNIPROCESSOR,
      dentry_hashtable: POINTER,
      pv_ops: PV_OPS,
      __start___jump_table: 0x3000,
      __stop___jump_table: 0x3010,
      __start_static_call_sites: 0x3020,
      __stop_static_call_sites: 0x3028,
      __start_mcount_loc: 0x3030,
      __stop_mcount_loc: 0x3040,
    });
  // Alternative: stac
  builder.put(0x100, hex("0f 0b 90 90 90")).put(0x4000, hex("0f 01 cb"))
    .put(0x5000, s32(0x100 - 0x5000)).put(0x5004, s32(0x4000 - 0x5004));
  view.setUint16(0x5008, FEATURE, true);
  builder.put(0x500c, [5, 3]);
  if (alternatives) builder.section(".altinstructions", 0x5000, 14);
  // Call of rax, return, mark of a branch's target, pointer
  builder.put(0x200, branch(CALL, 0x200, THUNKS))
    .relative(".retpoline_sites", 0x5020, [0x200])
    .put(0x300, branch(JUMP, 0x300, RETURN_THUNK))
    .relative(".return_sites", 0x5030, [0x300])
    .put(0x400, hex("f3 0f 1e fa"))
    .relative(".ibt_endbr_seal", 0x5040, [0x400])
    .relative("runtime_ptr_dentry_hashtable", 0x5050, [0x410]);
  // Call through pv_ops: the first operation
  builder.put(0x420, hex("ff 14 25 00 00 00 00"))
    .u64(0x5060, BASE + 0x420n).put(0x5068, [0, 7])
    .section(".parainstructions", 0x5060, 10);
  // What changes while it runs
  builder.put(0x500, branch(JUMP, 0x500, 0x5a0))
    .put(0x3000, s32(0x500 - 0x3000)).put(0x3004, s32(0x5a0 - 0x3004))
    .u64(0x3008, BigInt(LABEL_KEY - 0x3008))
    .put(0x510, branch(CALL, 0x510, 0x1580))
    .put(0x3020, s32(0x510 - 0x3020)).put(0x3024, s32(CALL_KEY - 0x3024))
    .put(0x520, branch(CALL, 0x520, 0x1590)).u64(0x3030, BASE + 0x520n)
    .put(0x530, [0xf0]).relative(".smp_locks", 0x5080, [0x530]);
  builder.put(0x600, hex("e9 11 11 11 11"));
  builder.isOfFile = ofFile;
  return builder;
}

/** A guest that runs it, by the form that each place has there. */
function run(
  builder: ImageBuilder,
  text: Readonly<Record<number, ArrayLike<number>>>,
  { pv = false, label = 0, uniprocessor = 0 } = {},
) {
  const memory = new KernelBytes();
  memory.write(BASE, builder.bytes);
  memory.write(BASE + BigInt(CPU), [1 << FEATURE]);
  memory.u32(BASE + BigInt(LABEL_KEY), label);
  memory.u64(BASE + BigInt(CALL_KEY), BASE + BigInt(FUNCTION));
  memory.write(BASE + BigInt(UNIPROCESSOR), [uniprocessor]);
  memory.u64(BASE + BigInt(POINTER), 0xffff_8881_0000_0000n);
  memory.u64(BASE + BigInt(PV_OPS), BASE + BigInt(FUNCTION));
  memory.u64(BASE + 0x6200n, BASE + BigInt(RETURN_THUNK));
  for (const [at, bytes] of Object.entries(text)) {
    memory.write(BASE + BigInt(at), bytes);
  }
  const found = memory.read(BASE, END);
  const predicted = predictText(builder.build(), memory, found, pv);
  /** Where the prediction differs from what is there. */
  const differing = [...found.keys()].filter((at) =>
    found[at] !== predicted.bytes[at]
  );
  return { ...predicted, differing };
}

/** What a guest has after it booted. */
const BOOTED = {
  0x100: hex("0f 01 cb 66 90"),
  0x200: hex("ff d0 0f 1f 00"),
  0x300: hex("c3 cc cc cc cc"),
  0x400: hex("66 0f 1f 00"),
  0x410: hex("00 00 00 00 81 88 ff ff"),
  0x420: hex(`${branch(CALL, 0x420, FUNCTION).toHex()} 66 90`),
  0x500: hex("0f 1f 44 00 00"),
  0x510: branch(CALL, 0x510, FUNCTION),
  0x520: hex("0f 1f 44 00 00"),
};

Deno.test("the text of a kernel that booted is predicted to the last byte", () => {
  const { bytes, differing, thunk } = run(kernel(), BOOTED);
  assertEquals(differing, []);
  assertEquals(bytes.length, END);
  assertEquals(thunk, { offset: undefined, lowerHalf: false });
});

Deno.test("the places that change while it runs are told, ascending", () => {
  const { sites } = run(kernel(), BOOTED);
  assertEquals(sites.map(({ kind, at, size }) => [kind, at, size]), [
    ["jump label", 0x500, 5],
    ["static call", 0x510, 5],
    ["ftrace", 0x520, 5],
    ["lock prefix", 0x530, 1],
  ]);
});

Deno.test("the guest's data decides between the forms of a place", () => {
  const { differing } = run(kernel(), {
    ...BOOTED,
    0x500: branch(JUMP, 0x500, 0x5a0),
    0x530: [0x3e],
  }, { label: 2, uniprocessor: 1 });
  assertEquals(differing, []);
});

Deno.test("what the kernel would not do is no part of the prediction", () => {
  const changes: [number, string][] = [
    [0x100, "0f 0b"],
    [0x300, "e9 00 00 00 00"],
    [0x410, "01"],
    [0x420, "e9"],
    [0x500, "e9 9b 00 00 00"],
    [0x510, "e8 00 00 00 00"],
    [0x520, "e8"],
    [0x530, "3e"],
    [0x700, "cc"],
  ];
  for (const [at, bytes] of changes) {
    const booted = { ...BOOTED } as Record<number, Uint8Array>;
    const form = booted[at]?.slice() ?? new Uint8Array(hex(bytes).length);
    form.set(hex(bytes));
    booted[at] = form;
    const { differing } = run(kernel(), booted);
    assertEquals(differing[0]! >= at && differing[0]! < at + 8, true, `${at}`);
  }
});

Deno.test("a mark is taken off in the way that the kernel does it, and only where it is", () => {
  const newer = { ...BOOTED, 0x400: hex("0f 1f 40 d6") };
  assertEquals(run(kernel(), newer).differing, []);
  // A function whose mark is not there any more in the file
  const builder = kernel().put(0x400, hex("90 90 90 90"));
  assertEquals(
    run(builder, { ...BOOTED, 0x400: hex("90 90 90 90") }).differing,
    [],
  );
});

Deno.test("a PV guest returns from interrupts by Xen", () => {
  const patched = { ...BOOTED, 0x600: branch(JUMP, 0x600, XEN_IRET) };
  assertEquals(run(kernel(), patched, { pv: true }).differing, []);
  assertEquals(run(kernel(), BOOTED, { pv: true }).differing[0], 0x601);
  assertEquals(run(kernel(), patched).differing[0], 0x601);
});

Deno.test("up to 5.11 paravirt calls are patched last, over alternatives", () => {
  const last = kernel({ paravirtLast: true });
  // An alternative at the same place
  last.put(0x5000, s32(0x420 - 0x5000));
  assertEquals(
    run(last, { ...BOOTED, 0x100: hex("0f 0b 90 90 90") }).differing,
    [],
  );
  const first = kernel().put(0x5000, s32(0x420 - 0x5000));
  assertEquals(
    run(first, {
      ...BOOTED,
      0x100: hex("0f 0b 90 90 90"),
      0x420: hex("0f 01 cb 66 90 66 90"),
    }).differing,
    [],
  );
});

Deno.test("a file that does not tell of its alternatives is refused, memory need not tell", () => {
  assertThrows(
    () => run(kernel({ alternatives: false }), BOOTED),
    SyntaxError,
    "of an unknown kind",
  );
  const { sites } = run(kernel({ alternatives: false, ofFile: false }), BOOTED);
  assertEquals(sites.length, 4);
});

Deno.test("of a kernel that only memory tells, the places that change are predicted", () => {
  const booted = kernel({ ofFile: false });
  for (const [at, bytes] of Object.entries(BOOTED)) {
    booted.put(Number(at), bytes);
  }
  const { differing, thunk, sites } = run(booted, {
    ...BOOTED,
    // A label that stands against its key
    0x500: branch(JUMP, 0x500, 0x5a0),
  });
  assertEquals(differing.length > 0, true);
  assertEquals(differing.every((at) => at >= 0x500 && at < 0x505), true);
  assertEquals(thunk, { offset: RETURN_THUNK, lowerHalf: false });
  assertEquals(sites.length, 4);
});
