import { assert, assertEquals, assertLess } from "@std/assert";
import { CodeOwners } from "./code_owners.ts";
import { offsets } from "./testing/kernel_types.ts";
import { places, SyntheticKernel } from "./testing/synthetic_kernel.ts";

const MODULE = 0xffff_ffff_c000_0000n;
const PROGRAM = 0xffff_ffff_c100_0000n;
const PACK = 0xffff_ffff_c200_0000n;
const TRAMPOLINE = 0xffff_ffff_c300_0000n;
const SLOTS = 0xffff_ffff_c400_0000n;
const NOWHERE = 0xffff_8bad_0000_0000n;
/** Pages that a hostile list may have read: none needs many */
const MAX_READS = 5000;

function read({ image, memory }: SyntheticKernel): CodeOwners {
  return new CodeOwners(image, memory);
}

/** Owners but for the kernel itself. */
function owned(owners: CodeOwners): [string, bigint, bigint][] {
  return owners.owners.slice(1).map((
    { kind, name, start, end },
  ) => [`${kind} ${name}`, start, end]);
}

/** Reads hostile lists: that must end soon. */
function readQuickly(kernel: SyntheticKernel): CodeOwners {
  kernel.memory.reads = 0;
  const started = performance.now();
  const owners = read(kernel);
  assertLess(kernel.memory.reads, MAX_READS);
  // More than it takes on a busy machine
  assertLess(performance.now() - started, 10_000);
  return owners;
}

Deno.test("a kernel without modules and hooks owns its own text, by pages", () => {
  const kernel = new SyntheticKernel();
  const owners = read(kernel);
  assertEquals(owners.owners, [{
    kind: "kernel",
    name: "kernel",
    start: kernel.base,
    end: kernel.at(places.end),
  }]);
  assertEquals(
    [owners.modules, owners.hooks, owners.trampolines, owners.unreadable],
    [[], [], [], []],
  );
});

Deno.test("modules are read in both layouts, with code that is freed after loading", () => {
  for (const modules of ["layouts", "mem"] as const) {
    const kernel = new SyntheticKernel({ modules });
    const first = kernel.addModule("lab", { start: MODULE, size: 0x1234 });
    const second = kernel.addModule(
      "loading",
      { start: MODULE + 0x4000n, size: 0x1000 },
      { init: { start: MODULE + 0x8000n, size: 0x800 }, state: 1 },
    );
    const owners = read(kernel);
    assertEquals(owners.modules, [
      {
        name: "lab",
        address: first,
        isLive: true,
        text: { start: MODULE, size: 0x1234 },
      },
      {
        name: "loading",
        address: second,
        isLive: false,
        text: { start: MODULE + 0x4000n, size: 0x1000 },
      },
    ]);
    assertEquals(owned(owners), [
      ["module lab", MODULE, MODULE + 0x1234n],
      ["module loading", MODULE + 0x4000n, MODULE + 0x5000n],
      ["module loading", MODULE + 0x8000n, MODULE + 0x8800n],
    ]);
  }
});

Deno.test("names are cut at their end, and what is not printable is not taken over", () => {
  const kernel = new SyntheticKernel();
  const text = { start: MODULE, size: 0x1000 };
  kernel.addModule("a\x1b[31m\xe9", text);
  kernel.addModule("x".repeat(56), text);
  assertEquals(read(kernel).modules.map(({ name }) => name), [
    "a?[31m??",
    "x".repeat(56),
  ]);
});

Deno.test("BPF programs are owners; one without a size or with an absurd one is none", () => {
  const kernel = new SyntheticKernel();
  kernel.addProgram("bpf_prog_1", PROGRAM, PROGRAM + 0x123n);
  kernel.addProgram("empty", PROGRAM, PROGRAM);
  kernel.addProgram("reverse", PROGRAM, PROGRAM - 1n);
  kernel.addProgram("all", 0n, 2n ** 64n - 1n);
  const owners = read(kernel);
  assertEquals(owned(owners), [
    ["BPF program bpf_prog_1", PROGRAM, PROGRAM + 0x123n],
  ]);
  assertEquals(owners.unreadable, []);
});

Deno.test("of a pack belongs to programs what its bitmap says", () => {
  const kernel = new SyntheticKernel();
  const last = (2 << 20) / 64 - 1;
  kernel.addPack(PACK, [0, 1, 2, 9, 31, 32, last]);
  const at = (chunk: number) => PACK + BigInt(64 * chunk);
  const name = `BPF program pack 0x${PACK.toString(16)}`;
  assertEquals(owned(read(kernel)), [
    [name, at(0), at(3)],
    [name, at(9), at(10)],
    [name, at(31), at(33)],
    [name, at(last), PACK + (2n << 20n)],
  ]);
});

Deno.test("a pack is larger where the machine has several nodes", () => {
  const kernel = new SyntheticKernel();
  kernel.memory.u64(kernel.at(places.nodes), 0b101n);
  kernel.addPack(PACK, [40_000], 2);
  const start = PACK + 64n * 40_000n;
  assertEquals(
    owned(read(kernel)).map(([, start, end]) => [start, end]),
    [[start, start + 64n]],
  );
});

Deno.test("a kernel that has no packs has none", () => {
  const kernel = new SyntheticKernel(
    { packs: false },
    (builder) => builder.data({ pack_list: places.packs }),
  );
  kernel.addPack(PACK, [0]);
  assertEquals(owned(read(kernel)), []);
});

Deno.test("hooks have the functions of their filter, all without one", () => {
  const kernel = new SyntheticKernel();
  const functions = [1, 2, 3, 4, 5, 6, 7].map((n) => kernel.at(0x100 * n));
  const all = kernel.addHook({ function: kernel.at(0x100) });
  const empty = kernel.addHook({ function: kernel.at(0x200), functions: [] });
  const some = kernel.addHook({
    function: MODULE,
    trampoline: { start: TRAMPOLINE, size: 0x180 },
    functions,
  });
  const owners = read(kernel);
  assertEquals(
    owners.hooks.map((hook) => [
      hook.address,
      hook.function,
      hook.functions && [...hook.functions].sort(),
    ]),
    [
      [some, MODULE, functions],
      [empty, kernel.at(0x200), undefined],
      [all, kernel.at(0x100), undefined],
    ],
  );
  assertEquals(owned(owners), [
    [
      `ftrace trampoline 0x${MODULE.toString(16)}`,
      TRAMPOLINE,
      TRAMPOLINE + 0x180n,
    ],
  ]);
});

Deno.test("a trampoline that is not freed yet is owned, whether its hook is called or not", () => {
  const kernel = new SyntheticKernel();
  const trampoline = { start: TRAMPOLINE, size: 0x180 };
  kernel.addTrampoline({ function: kernel.at(0x100), trampoline });
  const owners = read(kernel);
  assertEquals(owners.hooks, []);
  assertEquals(owners.trampolines.length, 1);
  assertEquals(owners.owner(TRAMPOLINE + 0x17fn)?.kind, "ftrace trampoline");
  assertEquals(owners.owner(TRAMPOLINE + 0x180n), undefined);
});

Deno.test("probes are found by their place, with handler and detour", () => {
  const kernel = new SyntheticKernel();
  const handler = kernel.at(0x100);
  const plain = { address: kernel.at(0x205), handler };
  const optimized = {
    address: kernel.at(0x305),
    handler: MODULE,
    detour: SLOTS + 0x40n,
  };
  kernel.addProbe(plain, 0);
  kernel.addProbe(optimized, 63);
  kernel.addProbe({ address: kernel.at(0x405), handler: 0n }, 63);
  const owners = read(kernel);
  assertEquals(owners.probe(plain.address), { ...plain, detour: 0n });
  assertEquals(owners.probe(optimized.address), optimized);
  assertEquals(owners.probe(kernel.at(0x405))?.handler, 0n);
  assertEquals(owners.probe(plain.address + 1n), undefined);
});

Deno.test("a detour that is prepared, and not jumped to, is none", () => {
  const kernel = new SyntheticKernel();
  const address = kernel.at(0x305);
  const probe = kernel.addProbe({ address, handler: 0n, detour: SLOTS });
  const flags = probe + BigInt(offsets.kprobe.flags);
  assertEquals(read(kernel).probe(address)?.detour, SLOTS);
  for (const others of [0, 1, 2, 8]) {
    kernel.memory.u32(flags, others);
    assertEquals(read(kernel).probe(address)?.detour, 0n);
  }
});

Deno.test("of several probes at a place the first one's handler is told", () => {
  const kernel = new SyntheticKernel();
  const address = kernel.at(0x205);
  const handler = kernel.at(0x300);
  // The kernel's own, which calls those on its list
  const all = kernel.addProbe({ address, handler: kernel.at(0x100) });
  const { list } = offsets.kprobe;
  for (const called of [handler, kernel.at(0x400)]) {
    const probe = kernel.makeProbe({ address, handler: called });
    kernel.link(all + BigInt(list), probe + BigInt(list));
  }
  assertEquals(read(kernel).probe(address)?.handler, handler);
});

Deno.test("pages of slots belong to probes, of both kinds", () => {
  const kernel = new SyntheticKernel();
  kernel.addSlots(SLOTS);
  kernel.addSlots(SLOTS + 0x5000n, places.optimizedSlots);
  assertEquals(
    owned(read(kernel)).map(([, start, end]) => [start, end]),
    [[SLOTS, SLOTS + 0x1000n], [SLOTS + 0x5000n, SLOTS + 0x6000n]],
  );
});

Deno.test("the code for processors that come up has whole pages", () => {
  const kernel = new SyntheticKernel();
  const start = 0xffff_8880_0009_8000n;
  kernel.memory.u64(kernel.at(places.realModeHeader), start);
  const owners = read(kernel);
  assertEquals(owned(owners), [
    ["real-mode trampoline real-mode trampoline", start, start + 0x2000n],
  ]);
});

Deno.test("an address belongs to the smallest one that has it", () => {
  const kernel = new SyntheticKernel();
  kernel.addPack(PACK, [0, 1, 2, 3]);
  kernel.addProgram("small", PACK + 64n, PACK + 100n);
  const owners = read(kernel);
  assertEquals(owners.owner(PACK)?.kind, "BPF program pack");
  assertEquals(owners.owner(PACK + 64n)?.name, "small");
  assertEquals(owners.owner(PACK + 99n)?.name, "small");
  assertEquals(owners.owner(PACK + 100n)?.kind, "BPF program pack");
  assertEquals(owners.owner(PACK - 1n), undefined);
});

Deno.test("in the kernel only the starts of functions may be called, elsewhere what is owned", () => {
  const kernel = new SyntheticKernel();
  kernel.addModule("lab", { start: MODULE, size: 0x1000 });
  const owners = read(kernel);
  assert(owners.isCallable(kernel.at(0x100)));
  assert(!owners.isCallable(kernel.at(0x101)));
  assert(owners.isCallable(MODULE + 0x123n));
  assert(!owners.isCallable(MODULE + 0x1000n));
});

Deno.test("a list that is not there is empty", () => {
  const kernel = new SyntheticKernel();
  const { image, memory } = kernel;
  kernel.addModule("lab", { start: MODULE, size: 0x1000 });
  kernel.addProgram("program", PROGRAM, PROGRAM + 1n);
  const owners = new CodeOwners(
    image.with(
      [...image.symbols].filter(({ name }) => name !== "modules"),
      image.btf,
    ),
    memory,
  );
  assertEquals(owned(owners).map(([name]) => name), ["BPF program program"]);
});

/** Each list, how to lead it elsewhere, and what is told of it then. */
const lists = (kernel: SyntheticKernel): [string, bigint][] => [
  ["modules", kernel.at(places.modules)],
  ["ftrace hooks", kernel.at(places.hooks)],
  ["ftrace trampolines", kernel.at(places.trampolines)],
  ["kprobes", kernel.at(places.probes + 8 * 17)],
  ["BPF programs", kernel.at(places.programs)],
  ["BPF program packs", kernel.at(places.packs)],
  ["kprobe slots", kernel.at(places.slots + 8)],
];

Deno.test("a list that leads to memory that cannot be read is told, and hides no other", () => {
  for (let index = 0; index < 7; index++) {
    const kernel = new SyntheticKernel();
    const [name, head] = lists(kernel)[index]!;
    kernel.addModule("lab", { start: MODULE, size: 0x1000 });
    kernel.addProgram("program", PROGRAM, PROGRAM + 0x100n);
    for (const target of [NOWHERE, 1n, 2n ** 64n - 8n, 2n ** 63n]) {
      kernel.memory.u64(head, target);
      const owners = readQuickly(kernel);
      assertEquals(owners.unreadable, [name]);
      if (name !== "modules") assertEquals(owners.modules.length, 1);
      if (name !== "BPF programs") {
        assertEquals(owners.owner(PROGRAM)?.name, "program");
      }
    }
  }
});

Deno.test("what a list has before it becomes unreadable is kept", () => {
  const kernel = new SyntheticKernel();
  kernel.addModule("first", { start: MODULE, size: 0x1000 });
  const second = kernel.addModule("second", { start: PACK, size: 0x1000 });
  kernel.memory.u64(second + BigInt(offsets.module.list), NOWHERE);
  const owners = readQuickly(kernel);
  assertEquals(owners.modules.map(({ name }) => name), ["first", "second"]);
  assertEquals(owners.unreadable, ["modules"]);
});

Deno.test("a list that goes in circles ends, and is told", () => {
  const { module, bpf_ksym, ftrace_ops } = offsets;
  const circles: [string, (kernel: SyntheticKernel) => void][] = [
    ["modules", (kernel) => {
      const text = { start: MODULE, size: 0x1000 };
      const link = kernel.addModule("lab", text) + BigInt(module.list);
      kernel.memory.u64(link, link);
    }],
    ["BPF programs", (kernel) => {
      const symbol = kernel.addProgram("x", PROGRAM, PROGRAM + 1n);
      const link = symbol + BigInt(bpf_ksym.lnode);
      kernel.memory.u64(link, link);
    }],
    ["BPF program packs", (kernel) => {
      const odd = Array.from({ length: 2 ** 14 }, (_, index) => 2 * index);
      const pack = kernel.addPack(PACK, odd);
      kernel.memory.u64(pack, pack);
    }],
    ["ftrace hooks", (kernel) => {
      const hook = kernel.addHook({ function: MODULE });
      kernel.memory.u64(hook + BigInt(ftrace_ops.next), hook);
    }],
    ["ftrace trampolines", (kernel) => {
      const hook = kernel.addTrampoline({ function: MODULE });
      const link = hook + BigInt(ftrace_ops.list);
      kernel.memory.u64(link, link);
    }],
    ["kprobes", (kernel) => {
      const probe = kernel.addProbe({ address: MODULE, handler: 0n });
      kernel.memory.u64(probe, probe);
    }],
    ["kprobe slots", (kernel) => {
      const page = kernel.addSlots(SLOTS);
      kernel.memory.u64(page, page);
    }],
  ];
  for (const [name, prepare] of circles) {
    const kernel = new SyntheticKernel();
    prepare(kernel);
    assertEquals(readQuickly(kernel).unreadable, [name]);
  }
});

Deno.test("packs with absurdly many parts end, and are told", () => {
  const kernel = new SyntheticKernel();
  kernel.memory.write(kernel.at(places.nodes), new Uint8Array(128).fill(0xff));
  const bitmap = new Uint8Array(64 * 4096).fill(0x55);
  const shared = kernel.allocate(8 * 4096 + bitmap.length);
  kernel.memory.write(shared + BigInt(8 * 4096), bitmap);
  let head = kernel.at(places.packs);
  // Their bitmaps overlap: memory costs an attacker nothing
  for (let pack = 0; pack < 4000; pack++) {
    const entry = shared + BigInt(8 * pack);
    kernel.memory.u64(head, entry);
    head = entry;
  }
  const owners = readQuickly(kernel);
  assertEquals(owners.unreadable, ["BPF program packs"]);
  assertLess(owners.owners.length, 200_000);
});

Deno.test("a hook whose filter was freed is for no function, and hides no other", () => {
  const kernel = new SyntheticKernel();
  const { memory } = kernel;
  kernel.addHook({ function: MODULE });
  const freed = kernel.addHook({ function: PROGRAM });
  memory.u64(freed + BigInt(offsets.ftrace_ops.func_hash), NOWHERE);
  const trampoline = { start: PACK, size: 0x100 };
  kernel.addTrampoline({ function: MODULE, trampoline });
  const former = kernel.addTrampoline({ function: MODULE });
  memory.u64(former + BigInt(offsets.ftrace_ops.func_hash), NOWHERE);
  const owners = new CodeOwners(kernel.image, memory);
  assertEquals(owners.unreadable, []);
  assertEquals(owners.hooks.map(({ functions }) => functions?.size), [
    0,
    undefined,
  ]);
  assertEquals(owners.owner(PACK)?.kind, "ftrace trampoline");
});

Deno.test("filters of absurd size end, and are told", () => {
  const kernel = new SyntheticKernel();
  const { memory } = kernel;
  const hashes = kernel.allocate(16);
  const hash = kernel.allocate(24);
  const buckets = kernel.allocate(8 << 16);
  memory.u64(hashes + 8n, hash);
  memory.u64(hash, 16n);
  memory.u64(hash + 8n, buckets);
  memory.u64(hash + 16n, 1n);
  for (let count = 0; count < 1000; count++) {
    const hook = kernel.addHook({ function: MODULE });
    memory.u64(hook + BigInt(offsets.ftrace_ops.func_hash), hashes);
  }
  assertEquals(readQuickly(kernel).unreadable, ["ftrace hooks"]);
});

Deno.test("a filter with an impossible number of buckets is for no function", () => {
  for (const bits of [21n, 64n, 2n ** 64n - 1n]) {
    const kernel = new SyntheticKernel();
    const { memory } = kernel;
    const hook = kernel.addHook({ function: MODULE, functions: [MODULE] });
    const pointer = (address: bigint) =>
      new DataView(memory.read(address, 8).buffer).getBigUint64(0, true);
    const hashes = pointer(hook + BigInt(offsets.ftrace_ops.func_hash));
    memory.u64(pointer(hashes + 8n), bits);
    const owners = readQuickly(kernel);
    assertEquals(owners.hooks.map(({ functions }) => functions?.size), [0]);
  }
});

Deno.test("a filter that goes in circles ends", () => {
  const kernel = new SyntheticKernel();
  const { memory } = kernel;
  const hook = kernel.addHook({
    function: MODULE,
    functions: [kernel.at(0x100)],
  });
  const pointer = (address: bigint) =>
    new DataView(memory.read(address, 8).buffer).getBigUint64(0, true);
  const hashes = pointer(hook + BigInt(offsets.ftrace_ops.func_hash));
  const entry = pointer(pointer(pointer(hashes + 8n) + 8n));
  memory.u64(entry, entry);
  const [read] = readQuickly(kernel).hooks;
  assertEquals(read?.functions, new Set([kernel.at(0x100)]));
});

Deno.test("sizes that no code has own no more than their place", () => {
  const kernel = new SyntheticKernel();
  kernel.addHook({
    function: MODULE,
    trampoline: { start: TRAMPOLINE, size: 2 ** 40 },
  });
  const owners = read(kernel);
  assertEquals(owned(owners), []);
  assertEquals(owners.owner(TRAMPOLINE), undefined);
});

Deno.test("probes without end end, and are told", () => {
  const kernel = new SyntheticKernel();
  const { memory } = kernel;
  // Each is the next word of one page: as many as there are words
  const start = kernel.allocate(1 << 20);
  const words = BigUint64Array.from(
    { length: (1 << 20) / 8 },
    (_, index) => start + BigInt(8 * index + 8),
  );
  memory.write(start, new Uint8Array(words.buffer));
  memory.u64(kernel.at(places.probes), start);
  assertEquals(readQuickly(kernel).unreadable, ["kprobes"]);
});
