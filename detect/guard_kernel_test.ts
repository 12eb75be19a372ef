import { assertEquals } from "@std/assert";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import type { LivingCode, Profile } from "../guestos/profile.ts";
import type { EventBody } from "./event.ts";
import { rungs } from "../xen/protection.ts";
import { Guard } from "./guard.ts";
import { ResponseLimits } from "./response_limits.ts";
import { ResponsePlan } from "./response_plan.ts";
import { guardedKernel, TABLE, TEXT } from "./testing/guarded_kernel.ts";
import { withExecutable } from "./testing/kernel_guest.ts";

const HOOK = 0xcc;
const WRITABLE = 2n;
const NO_EXECUTE = 1n << 63n;

/** Code in which a breakpoint is a hook that the kernel accounts for. */
function living(by: () => string): LivingCode {
  return {
    judge(start, read) {
      return {
        start,
        size: 1,
        state: read(start, 1)[0] === HOOK
          ? { kind: "instrumented", by: by() }
          : { kind: "foreign", summary: "kernel code was changed" },
        isElsewhere: true,
      };
    },
  };
}

/** A guard of a kernel that changes itself, armed. */
function setUp(parts: Partial<Profile> = {}) {
  const { guest, profile } = guardedKernel();
  // The kernel's own tables protect what must not change
  for (const { kind, start, size } of profile.regions) {
    for (let page = start; page < start + BigInt(size); page += 0x1000n) {
      const entry = guest.entry(page) & ~WRITABLE;
      guest.setEntry(page, kind === "code" ? entry : entry | NO_EXECUTE);
    }
  }
  const walks = guest.walks.bind(guest);
  guest.walks = (start, size) => walks(start, size).map(withExecutable);
  let by = "kprobe lab";
  const told: EventBody[] = [];
  const guard = new Guard(
    guest,
    {
      ...profile,
      regions: profile.regions.map((region) =>
        region.kind === "code"
          ? { ...region, living: living(() => by) }
          : region
      ),
      protectable: false,
      ...parts,
    },
    {
      responses: new ResponsePlan({ response: "pause", dump: false }),
      limits: new ResponseLimits(),
      fullPassInterval: 1_000_000,
      rungs,
      failed: (error) => {
        throw error;
      },
    },
    (event) => told.push(event),
  );
  const hooks = () =>
    told.flatMap((event) =>
      event.type === "instrumentation" ? [event.instrumentation.by] : []
    );
  return {
    guest,
    guard,
    told,
    hooks,
    nameHook: (name: string) => by = name,
  };
}

Deno.test("a hook that the kernel accounts for is told once, and no attack", async () => {
  const { guest, guard, told, hooks } = setUp();
  guard.arm();
  const original = [...guest.read(TEXT + 0x100n, 1)];
  guest.write(TEXT + 0x100n, [HOOK]);
  for (let pass = 0; pass < 3; pass++) await guard.pass();
  assertEquals(hooks(), ["kprobe lab"]);
  assertEquals(told.map(({ type }) => type), ["armed", "instrumentation"]);
  // Another place of the same hook
  guest.write(TEXT + 0x200n, [HOOK]);
  await guard.pass();
  assertEquals(hooks(), ["kprobe lab"]);
  guest.write(TEXT + 0x100n, original);
  await guard.pass();
  assertEquals(hooks(), ["kprobe lab"]);
  assertEquals(guest.paused, false);
});

Deno.test("a hook that goes and comes back is told again", async () => {
  const { guest, guard, hooks } = setUp();
  guard.arm();
  const original = [...guest.read(TEXT + 0x100n, 1)];
  for (let turn = 0; turn < 3; turn++) {
    guest.write(TEXT + 0x100n, [HOOK]);
    await guard.pass();
    guest.write(TEXT + 0x100n, original);
    await guard.pass();
  }
  assertEquals(hooks(), ["kprobe lab", "kprobe lab", "kprobe lab"]);
});

Deno.test("hooks of different owners are told each", async () => {
  const { guest, guard, hooks, nameHook } = setUp();
  guard.arm();
  guest.write(TEXT + 0x100n, [HOOK]);
  await guard.pass();
  nameHook("kprobe other");
  guest.write(TEXT + 0x200n, [HOOK]);
  await guard.pass();
  assertEquals(hooks(), ["kprobe lab", "kprobe other"]);
});

Deno.test("a kernel that cannot be protected is neither protected nor stopped for a rehearsal", async () => {
  const { guest, guard, told } = setUp();
  const before = guest.entry(TEXT);
  guard.arm();
  await guard.pass();
  assertEquals(guest.calls, []);
  assertEquals(guest.entry(TEXT), before);
  assertEquals(
    told.map((event) => event.type === "armed" && event.entries),
    [0],
  );
});

Deno.test("a kernel that can be protected is, and the guest is stopped for rehearsals", () => {
  const { guest, guard } = setUp({ protectable: true });
  guard.arm();
  assertEquals(guest.calls.slice(0, 3), ["protect", "pause", "unpause"]);
});

Deno.test("an attack on a kernel that cannot be protected stops the guest all the same", async () => {
  const { guest, guard, told } = setUp();
  guard.arm();
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  assertEquals(guest.paused, true);
  assertEquals(
    told.flatMap((event) =>
      event.type === "finding" ? [event.finding.rule.id] : []
    ),
    ["XK-002"],
  );
});

Deno.test("what the profile has read is forgotten before each look", async () => {
  let refreshed = 0;
  const looks: number[] = [];
  const { guest, guard } = setUp({
    refresh: () => {
      refreshed++;
    },
    // Asked by each look, after the guest was looked at anew
    loadedCode: () => {
      looks.push(refreshed);
      return [];
    },
  });
  guard.arm();
  await guard.pass();
  await guard.pass();
  assertEquals(looks, [1, 2, 3]);
  // A pass that finds something looks twice
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  assertEquals(looks, [1, 2, 3, 4, 5]);
});

Deno.test("code that the kernel patches bears a trap, and no other rung", () => {
  const { guest, guard } = setUp();
  const borne: unknown[] = [];
  const protect = guest.protect.bind(guest);
  guest.protect = (ranges, listener) => {
    const code = ranges.find(({ kind }) => kind === "code");
    borne.push(code?.patched, code?.rungs);
    return protect(ranges, listener);
  };
  guard.arm();
  assertEquals(borne, [true, ["trap", "dirty", "poll"]]);
});

Deno.test("a write to code that the kernel does not account for may not land", () => {
  const { guest, guard } = setUp();
  guard.arm();
  const may = (offset: bigint, ...bytes: number[]) =>
    guest.listener!.mayPatch({
      address: TEXT + offset,
      data: Uint8Array.from(bytes),
    });
  assertEquals(may(0x100n, HOOK), true);
  const [original = 0] = guest.read(TEXT + 0x100n, 1);
  assertEquals(may(0x100n, original ^ 1), false);
  guard.disarm();
  assertEquals(may(0x100n, original ^ 1), true);
});

Deno.test("who cannot tell lets the kernel write", () => {
  const unreadable: LivingCode = {
    judge: (address) => {
      throw new UnreadableMemoryError(address, "not-present");
    },
  };
  const { profile } = guardedKernel();
  const { guest, guard } = setUp({
    regions: profile.regions.map((region) => ({
      ...region,
      living: unreadable,
    })),
  });
  guard.arm();
  const data = guest.read(TEXT, 1).map((byte) => byte ^ 1);
  assertEquals(guest.listener!.mayPatch({ address: TEXT, data }), true);
});
