import { assertEquals } from "@std/assert";
import type { TextSite } from "../sites.ts";
import { BASE, hex, ImageBuilder } from "../testing/image_builder.ts";
import { patchingOf } from "../testing/patching.ts";
import { branch, CALL, JUMP } from "../x86_branch.ts";
import { staticCalls } from "./static_calls.ts";

const TABLE = 0x3000;
const KEY = 0x6000;
const THUNK = 0x1000;
const RETURN_0 = 0x1100;
const WARN = 0x1200;
const STATIC_RETURN = 0x1300;
const FUNCTION = 0x1400;
const TRAMPOLINE = 0x1500;
const TAIL = 1;
const INIT = 2;

const PLAIN_RETURN = "c3cccccccc";
const NOP5 = "0f1f440000";

interface Call {
  readonly at: number;
  readonly code: string;
  readonly flags?: number;
}

/** The places of a kernel, and what may stand there for a target. */
function sitesOf(
  calls: readonly Call[],
  target: number | undefined,
  {
    thunk = { offset: THUNK as number | undefined, lowerHalf: false },
    end = 0x2000,
  } = {},
): (Omit<TextSite, "forms" | "others"> & {
  forms: string[];
  others: string[];
})[] {
  const builder = new ImageBuilder();
  for (const [index, { at, code, flags = 0 }] of calls.entries()) {
    const entry = TABLE + 8 * index;
    builder.put(at, hex(code))
      .s32(entry, at - entry)
      .s32(entry + 4, (KEY | flags) - entry - 4);
  }
  builder.symbol("__static_call_return0", RETURN_0)
    .symbol("__WARN_trap", WARN)
    .symbol("__static_call_return", STATIC_RETURN)
    .symbol("__x86_return_thunk", THUNK)
    .symbol("__SCT__lab", TRAMPOLINE)
    .symbol("__SCT__without_a_key", TRAMPOLINE + 0x10)
    .data({
      __start_static_call_sites: TABLE,
      __stop_static_call_sites: TABLE + 8 * calls.length,
      __SCK__lab: KEY,
    });
  if (target !== undefined) builder.u64(KEY, BASE + BigInt(target));
  const patching = patchingOf(builder, { end });
  return [...staticCalls(patching, thunk)].map((
    { kind, at, size, forms, others = [] },
  ) => ({
    kind,
    at,
    size,
    forms: forms(patching.guest).map((form) => form.toHex()),
    others: others.map((form) => form.toHex()),
  }));
}

/** What may stand at one place. */
function forms(call: Omit<Call, "at">, target: number | undefined): string[] {
  const [site] = sitesOf([{ at: 0x100, ...call }], target);
  assertEquals([site!.kind, site!.at], ["static call", 0x100]);
  return site!.forms;
}

const CALL_CODE = "e8 00 00 00 00";
const JUMP_CODE = "e9 00 00 00 00";
const JE_CODE = "0f 84 00 00 00 00";

Deno.test("a call is one of what its key names", () => {
  assertEquals(forms({ code: CALL_CODE }, FUNCTION), [
    branch(CALL, 0x100, FUNCTION).toHex(),
  ]);
  // Whether its code is freed makes no difference
  assertEquals(forms({ code: CALL_CODE, flags: INIT }, FUNCTION), [
    branch(CALL, 0x100, FUNCTION).toHex(),
  ]);
});

Deno.test("a call of nothing, of 0 or of a warning is an instruction", () => {
  const call = { code: CALL_CODE };
  assertEquals(forms(call, undefined), [NOP5]);
  assertEquals(forms(call, RETURN_0), ["2e2e2e31c0"]);
  assertEquals(forms(call, WARN), ["67480fb93a"]);
});

Deno.test("a jump at the end of a function is one to what its key names, or a return", () => {
  const jump = { code: JUMP_CODE, flags: TAIL };
  assertEquals(forms(jump, FUNCTION), [branch(JUMP, 0x100, FUNCTION).toHex()]);
  assertEquals(forms(jump, RETURN_0), [branch(JUMP, 0x100, RETURN_0).toHex()]);
  assertEquals(forms(jump, undefined), [
    branch(JUMP, 0x100, THUNK).toHex(),
    PLAIN_RETURN,
  ]);
  const [plain] = sitesOf([{ at: 0x100, ...jump }], undefined, {
    thunk: { offset: undefined, lowerHalf: false },
  });
  assertEquals(plain!.forms, [PLAIN_RETURN, PLAIN_RETURN]);
  const [lower, upper] = sitesOf(
    [{ at: 0x100, ...jump }, { at: 0x120, ...jump }],
    undefined,
    { thunk: { offset: THUNK, lowerHalf: true } },
  );
  assertEquals(lower!.forms[0], branch(JUMP, 0x100, THUNK).toHex());
  assertEquals(upper!.forms[0], PLAIN_RETURN);
});

Deno.test("a conditional jump keeps its condition", () => {
  const at = 0x100;
  const jump = { at, code: JE_CODE, flags: TAIL };
  const je = (target: number) =>
    `0f84${branch(JUMP, at + 1, target).subarray(1).toHex()}`;
  const [site] = sitesOf([jump], FUNCTION);
  assertEquals([site!.size, site!.forms], [6, [je(FUNCTION)]]);
  assertEquals(forms(jump, undefined), [
    je(THUNK),
    je(STATIC_RETURN),
    je(THUNK),
  ]);
  // The distance counts from its end: 0x1400 - 0x106
  assertEquals(je(FUNCTION), "0f84fa120000");
});

Deno.test("what may stand there while the key changes is told for each kind", () => {
  const [call, jump, condition, trampoline] = sitesOf([
    { at: 0x100, code: CALL_CODE },
    { at: 0x110, code: JUMP_CODE, flags: TAIL },
    { at: 0x120, code: JE_CODE, flags: TAIL },
  ], FUNCTION);
  assertEquals(call!.others, [NOP5, "2e2e2e31c0", "67480fb93a"]);
  assertEquals(jump!.others, [
    branch(JUMP, 0x110, THUNK).toHex(),
    PLAIN_RETURN,
  ]);
  assertEquals(condition!.others, []);
  assertEquals(trampoline!.others, [
    branch(JUMP, TRAMPOLINE, THUNK).toHex(),
    PLAIN_RETURN,
  ]);
});

Deno.test("a trampoline jumps to what its key names; one without a key is none", () => {
  const sites = (target: number | undefined) =>
    sitesOf([], target).map(({ kind, at, size, forms }) => [
      kind,
      at,
      size,
      forms,
    ]);
  const kind = "static call trampoline";
  assertEquals(sites(FUNCTION), [
    [kind, TRAMPOLINE, 5, [branch(JUMP, TRAMPOLINE, FUNCTION).toHex()]],
  ]);
  assertEquals(sites(undefined), [
    [kind, TRAMPOLINE, 5, [
      branch(JUMP, TRAMPOLINE, THUNK).toHex(),
      PLAIN_RETURN,
    ]],
  ]);
});

Deno.test("places in code that was freed are left out", () => {
  const calls = [
    { at: 0x1ff, code: CALL_CODE },
    { at: 0x1fa, code: JE_CODE, flags: TAIL },
    { at: 0x1f0, code: CALL_CODE },
  ];
  assertEquals(
    sitesOf(calls, FUNCTION, { end: 0x200 }).map(({ at }) => at),
    [0x1fa, 0x1f0],
  );
  assertEquals(
    sitesOf(calls, FUNCTION, { end: 0x1ff }).map(({ at }) => at),
    [0x1f0],
  );
});
