import { assertEquals } from "@std/assert";
import { hex, ImageBuilder } from "../testing/image_builder.ts";
import { patchingOf } from "../testing/patching.ts";
import { branch, JUMP } from "../x86_branch.ts";
import { patchReturns, returnCode, returnThunk } from "./returns.ts";

const PLAIN = "c3cccccccc";
const DEFAULT = 0x1800;
const SRSO = 0x1840;
const ITS = 0x1880;
const WARN = 0x18c0;
const ROGUE = 0x18e0;

/** A kernel with so many places that return, 16 bytes apart. */
function kernel(count: number): { builder: ImageBuilder; sites: number[] } {
  const builder = new ImageBuilder(0x40000);
  const sites = Array.from(
    { length: count },
    (_, index) => 0x2000 + 16 * index,
  );
  for (const at of sites) builder.put(at, branch(JUMP, at, DEFAULT));
  builder.symbol("__x86_return_thunk", DEFAULT)
    .symbol("srso_return_thunk", SRSO)
    .symbol("its_return_thunk", ITS)
    .symbol("warn_return_thunk", WARN);
  builder.relative(".return_sites", 0x30000, sites);
  return { builder, sites };
}

/** What a guest has at its sites, and what is made of that. */
function thunkOf(
  count: number,
  target: (at: number, index: number) => number | undefined,
) {
  const { builder, sites } = kernel(count);
  const guest = new Map(
    sites.map((at, index) => {
      const to = target(at, index);
      return [at, to === undefined ? hex(PLAIN) : branch(JUMP, at, to)];
    }),
  );
  const patching = patchingOf(builder, { guest, end: 0x30000 });
  const thunk = returnThunk(patching);
  patchReturns(patching, thunk);
  return {
    thunk,
    code: sites.map((at) => patching.text.subarray(at, at + 5).toHex()),
    sites,
  };
}

Deno.test("the thunk that most sites have must be at all", () => {
  for (const target of [DEFAULT, SRSO]) {
    const { thunk, code, sites } = thunkOf(
      5,
      (_, index) => index === 1 ? undefined : index === 2 ? ROGUE : target,
    );
    assertEquals(thunk, { offset: target, lowerHalf: false });
    assertEquals(code, sites.map((at) => branch(JUMP, at, target).toHex()));
  }
});

Deno.test("a kernel may return without a thunk", () => {
  const { thunk, code } = thunkOf(
    5,
    (_, index) => index === 1 ? DEFAULT : undefined,
  );
  assertEquals(thunk, { offset: undefined, lowerHalf: false });
  assertEquals(code, Array(5).fill(PLAIN));
});

Deno.test("a target that is none of the kernel's thunks is not believed, though all sites have it", () => {
  for (const target of [ROGUE, WARN, 0x100]) {
    const { thunk, code } = thunkOf(5, () => target);
    assertEquals(thunk.offset, undefined);
    assertEquals(code, Array(5).fill(PLAIN));
  }
});

Deno.test("with ITS only the lower half of each cache line returns by the thunk", () => {
  const { thunk, code, sites } = thunkOf(
    2400,
    (at) => (at & 0x20) === 0 ? ITS : undefined,
  );
  assertEquals(thunk, { offset: ITS, lowerHalf: true });
  assertEquals(
    code.slice(0, 4),
    [
      branch(JUMP, sites[0]!, ITS).toHex(),
      branch(JUMP, sites[1]!, ITS).toHex(),
      PLAIN,
      PLAIN,
    ],
  );
});

Deno.test("a few sites alone do not make a kernel one that mitigates ITS", () => {
  const { thunk } = thunkOf(2400, (_, index) => index < 900 ? ITS : undefined);
  assertEquals(thunk, { offset: undefined, lowerHalf: false });
});

Deno.test("the half of a cache line counts from the image", () => {
  const thunk = { offset: ITS, lowerHalf: true };
  assertEquals(returnCode(thunk, 0x101f)[0], JUMP);
  assertEquals(returnCode(thunk, 0x1020).toHex(), PLAIN);
  assertEquals(returnCode(thunk, 0x103f).toHex(), PLAIN);
  assertEquals(returnCode(thunk, 0x1040)[0], JUMP);
});

Deno.test("code that replaces other code returns the same way, and tells nothing", () => {
  const { builder, sites } = kernel(3);
  const places = [0x20000, 0x20010, 0x20020, 0x20030];
  for (const at of places) builder.put(at, branch(JUMP, at, DEFAULT));
  builder.relative(".return_sites", 0x30000, [...sites, ...places, 0x3fffe]);
  const guest = new Map(
    sites.map((at) => [at, branch(JUMP, at, SRSO)]),
  );
  const patching = patchingOf(builder, { guest, end: 0x10000 });
  const thunk = returnThunk(patching);
  assertEquals(thunk, { offset: SRSO, lowerHalf: false });
  patchReturns(patching, thunk);
  for (const at of places) {
    assertEquals(
      patching.text.slice(at, at + 5),
      branch(JUMP, at, SRSO),
    );
  }
});

Deno.test("a kernel without such places returns plainly", () => {
  const patching = patchingOf(new ImageBuilder());
  assertEquals(returnThunk(patching), { offset: undefined, lowerHalf: false });
});
