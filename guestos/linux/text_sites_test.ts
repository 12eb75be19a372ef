import { assertEquals, assertStringIncludes } from "@std/assert";
import { nop } from "../x86/nops.ts";
import { GuestState } from "./guest_state.ts";
import { jumpLabel } from "./patches/jump_labels.ts";
import { staticCall } from "./patches/static_calls.ts";
import type { TextSite } from "./sites.ts";
import { hex, s32 } from "./testing/image_builder.ts";
import { SyntheticKernel } from "./testing/synthetic_kernel.ts";
import { TextSites } from "./text_sites.ts";
import { branch, CALL, JUMP } from "./x86_branch.ts";

const INT3 = 0xcc;
const NOP5 = nop(5);
const RETURN = hex("c3 cc cc cc cc");

/** Places in the text, offsets */
const TRACED = 0x100;
const LABEL = 0x210;
const SHORT_LABEL = 0x220;
const CALLS = 0x310;
const TAIL = 0x320;
const CONDITION = 0x330;
const TRAMPOLINE = 0x400;
const LOCKED = 0x510;
/** A place that the kernel does not rewrite */
const PLAIN = 0x640;
/** Functions */
const F1 = 0x700;
const F2 = 0x800;
const FTRACE_CALLER = 0x900;
const RETURN_0 = 0xa00;
const THUNK = 0xb00;
/** The call in ftrace's own trampoline */
const FTRACE_CALL = 0x910;
/** Data: keys */
const LABEL_KEY = 0x6400;
const CALL_KEY = 0x6500;
const TAIL_KEY = 0x6508;
const CONDITION_KEY = 0x6510;
const FTRACE_KEY = 0x6518;
const PATCHED = 0x6600;
/** Data that the kernel's table calls code, as from 7.2 on */
const DATA = 0x6700;

const MODULE = 0xffff_ffff_c000_0000n;
const NOBODY = 0xffff_ffff_c100_0000n;

function setUp() {
  const kernel = new SyntheticKernel(
    {},
    (builder) =>
      builder.symbol("ftrace_caller", FTRACE_CALLER).symbol(
        "__static_call_return0",
        RETURN_0,
      ).symbol("init_task", DATA),
  );
  const { image, memory } = kernel;
  const thunk = { offset: THUNK, lowerHalf: false };
  const place = 0x3000;
  const label = (at: number, code: number) => {
    const entry = new Uint8Array(16);
    entry.set(s32(at - place));
    entry.set(s32(0x2a0 - place - 4), 4);
    new DataView(entry.buffer)
      .setBigInt64(8, BigInt(LABEL_KEY - place - 8), true);
    return jumpLabel(new DataView(entry.buffer), place, Uint8Array.of(code));
  };
  const call = (at: number, key: number, code: Uint8Array) => {
    const entry = new Uint8Array(8);
    entry.set(s32(at - place));
    entry.set(s32(key - place - 4), 4);
    return staticCall(image, thunk, new DataView(entry.buffer), place, code);
  };
  const sites: TextSite[] = [
    { kind: "ftrace", at: TRACED, size: 5, forms: () => [NOP5] },
    label(LABEL, 0xe9),
    label(SHORT_LABEL, 0x66),
    call(CALLS, CALL_KEY, branch(CALL, CALLS, F1)),
    call(TAIL, TAIL_KEY | 1, branch(JUMP, TAIL, F1)),
    call(CONDITION, CONDITION_KEY | 1, hex("0f 84 00 00 00 00")),
    {
      ...call(TRAMPOLINE, TAIL_KEY | 1, branch(JUMP, TRAMPOLINE, F1)),
      kind: "static call trampoline",
    },
    {
      kind: "lock prefix",
      at: LOCKED,
      size: 1,
      forms: (guest) => [Uint8Array.of(guest.u8(PATCHED) === 0 ? 0xf0 : 0x3e)],
      others: [Uint8Array.of(0xf0), Uint8Array.of(0x3e)],
    },
    {
      kind: "ftrace target",
      at: FTRACE_CALL,
      size: 5,
      forms: (guest) => [
        branch(CALL, FTRACE_CALL, guest.pointer(FTRACE_KEY) ?? THUNK),
      ],
      others: [branch(CALL, FTRACE_CALL, THUNK)],
    },
  ];
  const state = new GuestState(image, memory);
  const text = new TextSites(image, state, sites);
  const setKey = (key: number, target: number | bigint | undefined) =>
    memory.u64(
      kernel.at(key),
      typeof target === "number" ? kernel.at(target) : target ?? 0n,
    );
  for (const key of [CALL_KEY, TAIL_KEY, CONDITION_KEY]) setKey(key, F1);
  /** What is told of a place when these bytes are there. */
  const judge = (at: number, bytes: ArrayLike<number>, from = at) => {
    memory.write(kernel.at(at), bytes);
    state.refresh();
    return text.judge(
      kernel.at(from),
      (address, size) => memory.read(address, size),
    );
  };
  const kind = (at: number, bytes: ArrayLike<number>) => {
    const { start, state } = judge(at, bytes);
    assertEquals(start, kernel.at(at));
    return state.kind;
  };
  const said = (at: number, bytes: ArrayLike<number>): string => {
    const { state } = judge(at, bytes);
    return state.kind === "foreign"
      ? `foreign: ${state.summary}`
      : state.kind === "instrumented"
      ? `instrumented: ${state.by}`
      : state.kind;
  };
  return { kernel, memory, judge, kind, said, setKey };
}

/** A branch to an address that is not in the image. */
function branchTo(opcode: number, from: bigint, to: bigint): Uint8Array {
  return branch(opcode, 0, Number(to - from));
}

function withBreakpoint(form: Uint8Array): Uint8Array {
  return Uint8Array.of(INT3, ...form.subarray(1));
}

Deno.test("a change where the kernel changes nothing is foreign, byte by byte", () => {
  const { kernel, judge } = setUp();
  assertEquals(judge(PLAIN, [0x90]), {
    start: kernel.at(PLAIN),
    size: 1,
    state: { kind: "foreign", summary: "kernel code was changed" },
    isElsewhere: true,
  });
  // Directly in front of a place, and directly behind it
  for (const at of [LABEL - 1, LABEL + 5, 0]) {
    const { size, isElsewhere } = judge(at, [0x90]);
    assertEquals([size, isElsewhere], [1, true], `${at}`);
  }
});

Deno.test("a difference in the midst of a place is judged with all of it", () => {
  const { kernel, memory, judge } = setUp();
  memory.u32(kernel.at(LABEL_KEY), 1);
  const jump = branch(JUMP, LABEL, 0x2a0);
  for (let byte = 0; byte < 5; byte++) {
    assertEquals(judge(LABEL, jump, LABEL + byte), {
      start: kernel.at(LABEL),
      size: 5,
      state: { kind: "own" },
    });
  }
});

Deno.test("a jump label has the form that its key asks for", () => {
  const { kernel, memory, kind } = setUp();
  const forms = [
    { at: LABEL, stay: NOP5, jump: branch(JUMP, LABEL, 0x2a0) },
    { at: SHORT_LABEL, stay: nop(2), jump: hex("eb 7e") },
  ];
  for (const { at, stay, jump } of forms) {
    for (const [count, own, other] of [[0, stay, jump], [1, jump, stay]]) {
      memory.u32(kernel.at(LABEL_KEY), count as number);
      assertEquals(kind(at, own as Uint8Array), "own");
      // The key is changed first, the code after it
      assertEquals(kind(at, other as Uint8Array), "changing");
      assertEquals(kind(at, withBreakpoint(stay)), "changing");
      assertEquals(kind(at, withBreakpoint(jump)), "changing");
    }
  }
});

Deno.test("a jump label with any other form is foreign", () => {
  const { said } = setUp();
  const summary =
    "foreign: jump label has none of the forms that the kernel gives it";
  for (
    const form of [
      branch(JUMP, LABEL, 0x2a1),
      branch(CALL, LABEL, 0x2a0),
      hex("cc 90 90 90 90"),
      new Uint8Array(5),
    ]
  ) assertEquals(said(LABEL, form), summary);
  assertEquals(said(SHORT_LABEL, hex("eb 7f")), summary);
});

Deno.test("a lock prefix has two forms, and its one byte is no breakpoint in the midst of a change", () => {
  const { kernel, memory, kind, said } = setUp();
  assertEquals([kind(LOCKED, [0xf0]), kind(LOCKED, [0x3e])], [
    "own",
    "changing",
  ]);
  memory.write(kernel.at(PATCHED), [1]);
  assertEquals([kind(LOCKED, [0xf0]), kind(LOCKED, [0x3e])], [
    "changing",
    "own",
  ]);
  assertEquals(
    said(LOCKED, [INT3]),
    "foreign: lock prefix has none of the forms that the kernel gives it",
  );
});

Deno.test("a static call leads where its key does", () => {
  const { kind, setKey } = setUp();
  assertEquals(kind(CALLS, branch(CALL, CALLS, F1)), "own");
  assertEquals(kind(TAIL, branch(JUMP, TAIL, F1)), "own");
  assertEquals(kind(TRAMPOLINE, branch(JUMP, TRAMPOLINE, F1)), "own");
  assertEquals(
    kind(CONDITION, hex("0f 84 ca 03 00 00")),
    "own",
  );
  setKey(CALL_KEY, RETURN_0);
  assertEquals(kind(CALLS, hex("2e 2e 2e 31 c0")), "own");
  setKey(CALL_KEY, undefined);
  assertEquals(kind(CALLS, NOP5), "own");
  setKey(TAIL_KEY, undefined);
  assertEquals(kind(TAIL, branch(JUMP, TAIL, THUNK)), "own");
  assertEquals(kind(TRAMPOLINE, RETURN), "own");
});

Deno.test("a static call that still has the form of before its key was changed does not keep it", () => {
  const { kind, setKey } = setUp();
  setKey(CALL_KEY, F2);
  setKey(TAIL_KEY, F2);
  setKey(CONDITION_KEY, F2);
  assertEquals(kind(CALLS, branch(CALL, CALLS, F1)), "changing");
  assertEquals(
    kind(CALLS, withBreakpoint(branch(CALL, CALLS, F1))),
    "changing",
  );
  assertEquals(
    kind(CALLS, withBreakpoint(branch(CALL, CALLS, F2))),
    "changing",
  );
  assertEquals(kind(CALLS, NOP5), "changing");
  assertEquals(kind(CALLS, hex("2e 2e 2e 31 c0")), "changing");
  assertEquals(kind(TAIL, branch(JUMP, TAIL, F1)), "changing");
  assertEquals(kind(TAIL, RETURN), "changing");
  assertEquals(kind(TRAMPOLINE, branch(JUMP, TRAMPOLINE, F1)), "changing");
  assertEquals(kind(CONDITION, hex("0f 84 ca 03 00 00")), "changing");
  assertEquals(kind(CONDITION, hex("cc 84 ca 03 00 00")), "changing");
  assertEquals(kind(CONDITION, hex("cc 84 ca 04 00 00")), "changing");
});

Deno.test("a static call to what is no function is foreign, whatever its key says", () => {
  const { said, setKey } = setUp();
  const middle = F1 + 4;
  for (const target of [F2, middle]) {
    for (const key of [CALL_KEY, TAIL_KEY, CONDITION_KEY]) setKey(key, target);
    assertEquals(
      said(CALLS, branch(CALL, CALLS, middle)),
      "foreign: static call leads to function_700+0x4",
    );
    assertEquals(
      said(TAIL, branch(JUMP, TAIL, middle)),
      "foreign: static call leads to function_700+0x4",
    );
    assertEquals(
      said(TRAMPOLINE, branch(JUMP, TRAMPOLINE, middle)),
      "foreign: static call trampoline leads to function_700+0x4",
    );
    assertEquals(
      said(CONDITION, hex("0f 84 ce 03 00 00")),
      "foreign: static call leads to function_700+0x4",
    );
  }
});

Deno.test("a static call does not lead to data, whatever the kernel's table calls it", () => {
  const { said, setKey } = setUp();
  setKey(CALL_KEY, DATA);
  assertEquals(
    said(CALLS, branch(CALL, CALLS, DATA)),
    "foreign: static call leads to init_task, where nobody has code",
  );
});

Deno.test("a static call may lead to a module, and to no memory of nobody", () => {
  const { kernel, said, setKey } = setUp();
  kernel.addModule("lab", { start: MODULE, size: 0x1000 });
  const at = kernel.at(CALLS);
  setKey(CALL_KEY, MODULE + 0x40n);
  assertEquals(said(CALLS, branchTo(CALL, at, MODULE + 0x40n)), "own");
  setKey(CALL_KEY, NOBODY);
  assertEquals(
    said(CALLS, branchTo(CALL, at, NOBODY)),
    "foreign: static call leads to 0xffffffffc1000000, which nobody owns",
  );
});

Deno.test("a static call that is no branch any more is foreign", () => {
  const { said } = setUp();
  for (const at of [CALLS, TAIL, CONDITION]) {
    assertStringIncludes(
      said(at, hex("90 90 90 90 90 90")),
      "static call has none of the forms",
    );
  }
});

Deno.test("a traced function may call the trampoline of a hook that is for it", () => {
  const { kernel, said } = setUp();
  kernel.addModule("tracer", { start: MODULE, size: 0x1000 });
  const trampoline = NOBODY;
  kernel.addHook({
    function: MODULE + 0x10n,
    trampoline: { start: trampoline, size: 0x100 },
    functions: [kernel.at(TRACED), kernel.at(F1)],
  });
  assertEquals(
    said(TRACED, branchTo(CALL, kernel.at(TRACED), trampoline)),
    "instrumented: ftrace hook module tracer+0x10",
  );
});

Deno.test("the common trampoline is for all hooks, and for those only that are for the function", () => {
  const { kernel, said } = setUp();
  const call = branch(CALL, TRACED, FTRACE_CALLER);
  kernel.addHook({ function: kernel.at(F1), functions: [kernel.at(F2)] });
  assertEquals(said(TRACED, call), "changing");
  kernel.addHook({ function: kernel.at(F2), functions: [kernel.at(TRACED)] });
  assertEquals(said(TRACED, call), "instrumented: ftrace hook function_800");
  // One without a filter is for every function
  kernel.addHook({ function: kernel.at(F1) });
  assertEquals(
    said(TRACED, call),
    "instrumented: ftrace hook function_700, function_800",
  );
});

Deno.test("a hook that calls memory of nobody is foreign, though ftrace knows it", () => {
  const { kernel, said } = setUp();
  const call = branch(CALL, TRACED, FTRACE_CALLER);
  kernel.addHook({ function: kernel.at(F1) });
  kernel.addHook({ function: NOBODY });
  assertEquals(
    said(TRACED, call),
    "foreign: ftrace calls 0xffffffffc1000000, which nobody owns from here",
  );
  kernel.removeHooks();
  kernel.addHook({ function: kernel.at(F1 + 1) });
  assertEquals(
    said(TRACED, call),
    "foreign: ftrace calls function_700+0x1 from here",
  );
});

Deno.test("a call of a trampoline that no hook has any more does not last", () => {
  const { kernel, said } = setUp();
  const trampoline = { start: NOBODY, size: 0x100 };
  const call = branchTo(CALL, kernel.at(TRACED), NOBODY);
  assertStringIncludes(said(TRACED, call), "foreign: traced function calls 0x");
  kernel.addTrampoline({ function: kernel.at(F1), trampoline });
  assertEquals(said(TRACED, call), "changing");
});

Deno.test("a breakpoint at a traced function is the midst of a change only if a trampoline follows", () => {
  const { kernel, said } = setUp();
  assertEquals(said(TRACED, withBreakpoint(NOP5)), "changing");
  assertEquals(
    said(TRACED, withBreakpoint(branch(CALL, TRACED, F1))),
    "foreign: a breakpoint stands at the start of a traced function",
  );
  kernel.addHook({ function: kernel.at(F1) });
  assertEquals(
    said(TRACED, withBreakpoint(branch(CALL, TRACED, FTRACE_CALLER))),
    "changing",
  );
});

Deno.test("a traced function that calls a BPF program is instrumented", () => {
  const { kernel, said } = setUp();
  kernel.addProgram("bpf_trampoline_7", NOBODY, NOBODY + 0x1000n);
  const call = branchTo(CALL, kernel.at(TRACED), NOBODY);
  assertEquals(
    said(TRACED, call),
    "instrumented: BPF program bpf_trampoline_7",
  );
  assertEquals(said(TRACED, withBreakpoint(call)), "changing");
  // Up to 5.19 a dispatcher of BPF jumps
  assertEquals(
    said(TRACED, branchTo(JUMP, kernel.at(TRACED), NOBODY)),
    "instrumented: BPF program bpf_trampoline_7",
  );
});

Deno.test("what else stands at a traced function is foreign", () => {
  const { kernel, said } = setUp();
  kernel.addHook({ function: kernel.at(F1) });
  assertEquals(
    said(TRACED, branch(JUMP, TRACED, FTRACE_CALLER)),
    "foreign: the start of a traced function was changed",
  );
  assertEquals(
    said(TRACED, branch(CALL, TRACED, F1)),
    "foreign: traced function calls function_700",
  );
  kernel.addModule("lab", { start: MODULE, size: 0x1000 });
  assertEquals(
    said(TRACED, branchTo(CALL, kernel.at(TRACED), MODULE)),
    "foreign: traced function calls module lab",
  );
});

Deno.test("a breakpoint of a probe is told with its handler", () => {
  const { kernel, judge, said } = setUp();
  const probe = { address: kernel.at(PLAIN), handler: kernel.at(F1) };
  assertStringIncludes(said(PLAIN, [INT3]), "foreign");
  kernel.addProbe(probe);
  assertEquals(judge(PLAIN, [INT3]), {
    start: kernel.at(PLAIN),
    size: 1,
    state: { kind: "instrumented", by: "kprobe function_700" },
  });
  assertStringIncludes(said(PLAIN, [0x90]), "foreign");
  kernel.removeProbes();
  kernel.addProbe({ ...probe, handler: 0n });
  assertEquals(said(PLAIN, [INT3]), "instrumented: kprobe without a handler");
});

Deno.test("a probe that is no jump covers one byte", () => {
  const { kernel, judge } = setUp();
  kernel.addProbe({ address: kernel.at(PLAIN), handler: kernel.at(F1) });
  assertEquals(
    judge(PLAIN, hex("cc 90 90 90 90"), PLAIN + 1).state.kind,
    "foreign",
  );
});

Deno.test("a jump of a probe leads to its own detour", () => {
  const { kernel, judge } = setUp();
  const detour = MODULE + 0x80n;
  const at = kernel.at(PLAIN);
  kernel.addProbe({ address: at, handler: kernel.at(F1), detour });
  const jump = branchTo(JUMP, at, detour);
  for (let byte = 0; byte < 5; byte++) {
    assertEquals(judge(PLAIN, jump, PLAIN + byte), {
      start: at,
      size: 5,
      state: { kind: "instrumented", by: "kprobe function_700" },
    });
  }
  assertEquals(judge(PLAIN, jump, PLAIN + 5).state.kind, "foreign");
  const other = branchTo(JUMP, at, detour + 1n);
  assertEquals(judge(PLAIN, other).state.kind, "foreign");
});

Deno.test("a probe may stand in a place that the kernel rewrites", () => {
  const { kernel, judge } = setUp();
  const by = "kprobe function_700";
  kernel.addProbe({ address: kernel.at(LABEL), handler: kernel.at(F1) });
  assertEquals(judge(LABEL, hex("cc 11 22 33 44")), {
    start: kernel.at(LABEL),
    size: 1,
    state: { kind: "instrumented", by },
  });
});

Deno.test("hooks are taken from the lists as they are at each look", () => {
  const { kernel, said } = setUp();
  const call = branch(CALL, TRACED, FTRACE_CALLER);
  kernel.addHook({ function: kernel.at(F1) });
  assertEquals(said(TRACED, call), "instrumented: ftrace hook function_700");
  kernel.removeHooks();
  assertEquals(said(TRACED, call), "changing");
});

Deno.test("ftrace's own call leads where its variable does, and to code only", () => {
  const { said, setKey } = setUp();
  const call = (target: number) => branch(CALL, FTRACE_CALL, target);
  assertEquals(said(FTRACE_CALL, call(THUNK)), "own");
  setKey(FTRACE_KEY, F1);
  assertEquals(said(FTRACE_CALL, call(F1)), "own");
  assertEquals(said(FTRACE_CALL, call(THUNK)), "changing");
  assertEquals(said(FTRACE_CALL, call(F2)), "changing");
  setKey(FTRACE_KEY, F1 + 4);
  assertEquals(
    said(FTRACE_CALL, call(F1 + 4)),
    "foreign: ftrace target leads to function_700+0x4",
  );
});
