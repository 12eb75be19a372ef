import { assertEquals, assertMatch } from "@std/assert";
import { UnreadableMemoryError } from "../guestos/memory.ts";
import { type Rung, rungs } from "../xen/protection.ts";
import type { EventBody, Response } from "./event.ts";
import type { Incident } from "./incident.ts";
import { ResponseLimits } from "./response_limits.ts";
import { type PlannedResponse, ResponsePlan } from "./response_plan.ts";
import { armedGuard, unarmedGuard } from "./testing/armed_guard.ts";
import { FakeClock } from "./testing/fake_clock.ts";
import { faultPage } from "./testing/fault_page.ts";
import {
  ELSEWHERE,
  LIMITS,
  SCRATCH,
  TABLE,
  TEXT,
} from "./testing/guarded_kernel.ts";

const WRITABLE = 2n;
const MINUTE = 60_000;

/** What was done and said, in order. */
function responses(
  told: readonly EventBody[],
): { response: Response; text: string; evidence?: string }[] {
  return told.flatMap((event) => {
    if (event.type !== "response") return [];
    const { type: _, ...rest } = event;
    return [rest];
  });
}

function notices(told: readonly EventBody[]): string[] {
  return told.flatMap((event) => event.type === "notice" ? [event.text] : []);
}

function plan(
  base: PlannedResponse,
  byRule: Readonly<Record<string, Response>> = {},
): ResponsePlan {
  return new ResponsePlan(
    base,
    new Map(
      Object.entries(byRule).map((
        [id, response],
      ) => [id, { response, dump: false }]),
    ),
  );
}

function fault(sequence: bigint) {
  return { sequence, address: TABLE + 8n, ip: TEXT + 0x14n, errorCode: 3 };
}

Deno.test("bytes are put back where they differ, and the guest runs on", async () => {
  const { guest, guard, told } = armedGuard({ response: "restore" });
  const before = [guest.read(TEXT, 0x2000), guest.read(TABLE, 0x1000)];
  guest.write(TEXT + 0xfffn, [0xee]);
  guest.write(TEXT + 0x1000n, [0xee]);
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  assertEquals(
    guest.calls.filter((call) => !call.startsWith("write")),
    ["pause", "finding", "finding", "finding", "response", "resume"],
  );
  assertEquals(
    guest.calls.filter((call) => call.startsWith("write")).map((call) =>
      call.split(" ")[1]
    ),
    [TEXT + 0xfffn, TEXT + 0x1000n, TABLE + 8n].map((at) => at.toString(16)),
  );
  assertEquals([guest.read(TEXT, 0x2000), guest.read(TABLE, 0x1000)], before);
  assertEquals(responses(told), [{
    response: "restore",
    text: "what was changed is put back, and verified; synthetic runs on",
  }]);
  assertEquals(guest.paused, false);
});

Deno.test("what is changed again after it was put back is put back again", async () => {
  const { guest, guard, told } = armedGuard({ response: "restore" });
  for (let time = 1; time <= 3; time++) {
    guest.write(TABLE + 8n, [0x18]);
    await guard.pass();
    assertEquals(guest.read(TABLE + 8n, 1)[0], 0x20);
    assertEquals(responses(told).length, time);
  }
});

Deno.test("page-table entries are put back before contents", async () => {
  const { guest, guard, told } = armedGuard({ response: "restore" });
  const entry = guest.entry(TABLE);
  // A copy with another pointer takes the place of the table
  guest.map(ELSEWHERE, guest.read(TABLE, 0x1000));
  guest.write(ELSEWHERE + 8n, [0x18]);
  guest.setEntry(TABLE, guest.entry(ELSEWHERE) & ~WRITABLE);
  // The limits are made writable, and written
  guest.setEntry(LIMITS, guest.entry(LIMITS) | WRITABLE);
  guest.write(LIMITS, [0xee]);
  // The code has a second mapping
  guest.mapFrame(SCRATCH + 0x1000n, guest.frame(TEXT));
  await guard.pass();
  assertEquals(responses(told).map(({ response }) => response), ["restore"]);
  assertEquals(guest.entry(TABLE), entry);
  assertEquals(guest.read(LIMITS, 1)[0], 0x11);
  assertEquals(guest.entry(LIMITS) & WRITABLE, 0n);
  assertEquals(guest.entry(SCRATCH + 0x1000n) & WRITABLE, 0n);
  // The copy is the attacker's
  assertEquals(guest.read(ELSEWHERE + 8n, 1)[0], 0x18);
  await guard.pass();
  assertEquals(responses(told).length, 1);
});

Deno.test("a handler cannot be put back: the guest stays paused with all else as it is", async () => {
  const { guest, guard, told } = armedGuard({ response: "restore" });
  guest.cpus = [{
    ...guest.cpus[0]!,
    traps: [{ vector: 14, address: ELSEWHERE, cs: 0xe033, flags: 4 }],
  }];
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  const [{ response, text } = assertNever()] = responses(told);
  assertEquals(response, "pause");
  assertMatch(text, /^XK-004 .* cannot be restored; synthetic is paused/);
  assertEquals(guest.read(TABLE + 8n, 1)[0], 0x18);
  assertEquals(guest.pausedForAttack, true);
});

Deno.test("what does not stay as it was put back leaves the guest paused", async () => {
  const { guest, guard, told } = armedGuard({ response: "restore" });
  guest.writeMemory = () => {};
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  const [{ response, text } = assertNever()] = responses(told);
  assertEquals(response, "pause");
  assertMatch(text, /^after restoring, XK-002 .* differed still; synthetic is/);
  assertEquals(guest.pausedForAttack, true);
});

Deno.test("what Xen refuses to write leaves the guest paused, and says why", async () => {
  const { guest, guard, told } = armedGuard({ response: "restore" });
  guest.writeEntries = () => {
    throw new RangeError("mmu_update: EINVAL");
  };
  guest.setEntry(TABLE, guest.entry(TABLE) | WRITABLE);
  await guard.pass();
  const [{ response, text } = assertNever()] = responses(told);
  assertEquals(response, "pause");
  assertMatch(text, /^restoring failed: mmu_update: EINVAL; synthetic is/);
});

Deno.test("what cannot be read after it was put back leaves the guest paused", async () => {
  const { guest, guard, told } = armedGuard({ response: "restore" });
  const write = guest.writeMemory.bind(guest);
  guest.writeMemory = (address, bytes) => {
    write(address, bytes);
    guest.read = () => {
      throw new UnreadableMemoryError(TABLE, "no-frame");
    };
  };
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  const [{ response, text } = assertNever()] = responses(told);
  assertEquals(response, "pause");
  assertMatch(
    text,
    /^after restoring, .* is unreadable: no-frame.*; synthetic is/,
  );
});

Deno.test("after a stopped write there is nothing to put back, and the guest runs on", async () => {
  const { guest, guard, told } = armedGuard({ response: "restore" });
  guard.hold();
  await guard.faults(faultPage([fault(1n)]));
  assertEquals(guest.calls, ["pause", "finding", "response", "resume"]);
  assertEquals(responses(told), [{
    response: "restore",
    text: "nothing had landed; synthetic runs on",
  }]);
  // It tries the same again, which is no news
  await guard.faults(faultPage([fault(2n)]));
  assertEquals(responses(told).length, 1);
  assertEquals(guest.paused, false);
});

Deno.test("a rule of its own response is left alone while another is put right", async () => {
  const { guest, guard, told } = armedGuard({
    responses: plan({ response: "restore", dump: false }, {
      "XK-001": "report",
    }),
  });
  guest.write(TABLE + 8n, [0x18]);
  guest.write(TEXT, [0xee]);
  await guard.pass();
  assertEquals(responses(told)[0]?.response, "restore");
  assertEquals(guest.read(TEXT, 1)[0], 0xee);
  assertEquals(guest.read(TABLE + 8n, 1)[0], 0x20);
});

Deno.test("what is put right does not end the pause after another attack", async () => {
  const { guest, guard, told } = armedGuard({
    responses: plan({ response: "pause", dump: false }, {
      "XK-002": "restore",
    }),
  });
  guest.write(TEXT, [0xee]);
  await guard.pass();
  // As a look finds that is more thorough than the one before
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  assertEquals(responses(told).map(({ response }) => response), [
    "pause",
    "pause",
  ]);
  assertMatch(responses(told)[1]!.text, /^another attack has it paused; /);
  assertEquals(guest.pausedForAttack, true);
  guest.letRun();
  guest.write(TABLE + 16n, [0x18]);
  await guard.pass();
  assertEquals(responses(told).at(-1)!.response, "restore");
  assertEquals(guest.paused, false);
});

Deno.test("nothing is put right of a guest that an earlier monitor left paused", async () => {
  const { guest, guard, told } = armedGuard({ response: "restore" });
  guest.pauseForAttack();
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  assertEquals(responses(told).map(({ response }) => response), ["pause"]);
  assertEquals(guest.pausedForAttack, true);
});

Deno.test("nothing is put right while evidence of another attack is being kept", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const { guest, guard, told } = armedGuard({
    responses: new ResponsePlan(
      { response: "restore", dump: false },
      new Map([["XK-002", { response: "restore", dump: true }]]),
    ),
    keepEvidence: () => promise,
  });
  guest.write(TABLE + 8n, [0x18]);
  const first = guard.pass();
  guest.write(TEXT, [0xee]);
  await guard.pass();
  assertEquals(guest.read(TEXT, 1)[0], 0xee);
  resolve("/evidence/1");
  await first;
  assertEquals(responses(told).map(({ response }) => response), [
    "pause",
    "pause",
  ]);
  assertEquals(guest.pausedForAttack, true);
});

Deno.test("the strongest response to what was found at once is the one made", async () => {
  const { guest, guard } = armedGuard({
    responses: plan({ response: "report", dump: false }, {
      "XK-001": "reboot",
      "XK-002": "restore",
    }),
  });
  guest.write(TABLE + 8n, [0x18]);
  guest.write(TEXT, [0xee]);
  await guard.pass();
  assertEquals(guest.calls.at(-1), "reboot");
  assertEquals(guest.read(TABLE + 8n, 1)[0], 0x18);
});

Deno.test("a guest is not stopped for a rule that only reports", async () => {
  const { guest, guard } = armedGuard({
    responses: plan({ response: "pause", dump: false }, {
      "XK-001": "report",
    }),
  });
  guest.write(TEXT, [0xee]);
  await guard.pass();
  assertEquals(guest.calls, ["finding"]);
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  assertEquals(guest.paused, true);
});

Deno.test("a guest is put right ten times within a minute, then it is paused", async () => {
  using clock = new FakeClock();
  const { guest, guard, told } = armedGuard({ response: "restore" });
  for (let time = 0; time < 11; time++) {
    clock.pass(1000);
    guest.write(TABLE + 8n, [0x18]);
    await guard.pass();
  }
  const done = responses(told);
  assertEquals(
    done.map(({ response }) => response),
    [...Array(10).fill("restore"), "pause"],
  );
  assertMatch(done.at(-1)!.text, /^restored 10 times within 60 s; .* paused/);
  assertEquals(guest.paused, true);
});

Deno.test("a guest is rebooted three times within ten minutes, whichever guard it has", async () => {
  using clock = new FakeClock();
  const limits = new ResponseLimits();
  const done: Response[] = [];
  for (let boot = 0; boot < 5; boot++) {
    clock.pass(boot < 4 ? MINUTE : 10 * MINUTE);
    const { guest, guard, told } = armedGuard({ response: "reboot", limits });
    guest.write(TABLE + 8n, [0x18]);
    await guard.pass();
    const [{ response } = assertNever()] = responses(told);
    done.push(response);
    assertEquals(guest.calls.includes("reboot"), response === "reboot");
    assertEquals(guest.paused, true);
  }
  assertEquals(done, ["reboot", "reboot", "reboot", "pause", "reboot"]);
});

Deno.test("evidence is kept of the guest as it was found, and told", async () => {
  const kept: (Incident & { readonly found: number })[] = [];
  const { guest, guard, told } = armedGuard({
    responses: plan({ response: "restore", dump: true }),
    keepEvidence: (incident) => {
      kept.push({ ...incident, found: guest.read(TABLE + 8n, 1)[0]! });
      assertEquals(guest.paused, true);
      return Promise.resolve("/evidence/1");
    },
  });
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  assertEquals(
    kept.map(({ domain, findings, found }) => [
      domain.name,
      findings.map(({ address }) => address),
      found,
    ]),
    [["synthetic", [TABLE + 8n], 0x18]],
  );
  assertEquals(responses(told), [{
    response: "restore",
    text: "what was changed is put back, and verified; synthetic runs on; " +
      "evidence is in /evidence/1",
    evidence: "/evidence/1",
  }]);
  assertEquals(guest.read(TABLE + 8n, 1)[0], 0x20);
});

/** A guard that restores once its evidence is kept, which `resolve` ends. */
function keepingEvidence() {
  const { promise, resolve } = Promise.withResolvers<string>();
  const all = armedGuard({
    responses: plan({ response: "restore", dump: true }),
    keepEvidence: () => promise,
  });
  all.guest.write(TABLE + 8n, [0x18]);
  const faults = all.guard.faults(faultPage([fault(1n)]));
  return { ...all, resolve, faults };
}

Deno.test("a guest of which evidence is being kept stays paused, whatever passes see", async () => {
  const { guest, guard, told, resolve, faults } = keepingEvidence();
  for (let pass = 0; pass < 3; pass++) await guard.pass();
  assertEquals(guest.calls.includes("unpause"), false);
  assertEquals(guest.paused, true);
  resolve("/evidence/1");
  await faults;
  assertEquals(responses(told).map(({ response }) => response), ["restore"]);
  assertEquals(guest.paused, false);
});

Deno.test("a guest stays paused if guarding ends while evidence is being kept", async () => {
  const { guest, guard, told, resolve, faults } = keepingEvidence();
  guard.disarm();
  resolve("/evidence/1");
  await faults;
  assertMatch(responses(told)[0]!.text, /^guarding has ended; .* is paused/);
  assertEquals(guest.pausedForAttack, true);
});

Deno.test("a guest of which no evidence could be kept stays paused, whatever was to follow", async () => {
  for (const response of ["dump", "restore", "reboot", "destroy"] as const) {
    const { guest, guard, told } = armedGuard({
      responses: plan({ response, dump: true }),
      keepEvidence: () => Promise.reject(new Error("No space left")),
    });
    guest.write(TABLE + 8n, [0x18]);
    await guard.pass();
    assertEquals(responses(told), [{
      response: "pause",
      text: "synthetic is paused; to let it run: xl unpause 7; " +
        "evidence could not be kept: No space left",
    }]);
    assertEquals(guest.calls, ["pause", "finding", "response"]);
  }
});

Deno.test("evidence of a second attack within a minute is not kept, and the response goes on", async () => {
  let kept = 0;
  const { guest, guard, told } = armedGuard({
    responses: plan({ response: "dump", dump: true }),
    keepEvidence: () => Promise.resolve(`/evidence/${++kept}`),
  });
  for (const [at, byte] of [[8n, 0x18], [16n, 0xee]] as const) {
    guest.write(TABLE + at, [byte]);
    await guard.pass();
    guest.letRun();
  }
  assertEquals(
    responses(told).map(({ response, evidence }) => [response, evidence]),
    [["dump", "/evidence/1"], ["dump", undefined]],
  );
  assertMatch(
    responses(told)[1]!.text,
    /no evidence is kept: .* once a minute/,
  );
});

Deno.test("with `report` evidence is kept of a guest that runs on", async () => {
  const { guest, guard, told } = armedGuard({
    responses: plan({ response: "report", dump: true }),
    keepEvidence: () => Promise.resolve("/evidence/1"),
  });
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  assertEquals(guest.calls, ["finding", "response"]);
  assertEquals(responses(told)[0]?.evidence, "/evidence/1");
});

Deno.test("a guest that runs on is looked at while evidence is being kept", async () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  const { guest, guard, told } = armedGuard({
    responses: plan({ response: "report", dump: true }, {
      "XK-001": "report",
    }),
    keepEvidence: () => promise,
  });
  for (const address of [TABLE + 8n, TEXT]) {
    guest.write(address, [0x18]);
    await guard.pass();
  }
  assertEquals(told.map(({ type }) => type), ["finding", "finding"]);
  resolve("/evidence/1");
});

Deno.test("a write that is to be blocked and landed is told as such", async () => {
  const { guest, guard, told } = armedGuard({ response: "block" });
  guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  assertEquals(guest.calls, ["finding", "response"]);
  const [{ response, text } = assertNever()] = responses(told);
  assertEquals(response, "block");
  assertMatch(
    text,
    /^not blocked: XK-002 .* was changed, and stays so; .* runs/,
  );
});

Deno.test("a write that was blocked is told, and the guest is never stopped", async () => {
  const { guest, guard, told } = armedGuard({ response: "block" });
  guest.stopped({ vcpu: 0, ip: TEXT, frame: guest.frame(TABLE), offset: 8 });
  assertEquals(responses(told), [{
    response: "block",
    text: "synthetic runs on",
  }]);
  guard.hold();
  await guard.faults(faultPage([fault(1n)]));
  assertEquals(guest.calls.includes("pause"), false);
});

Deno.test("arming tells where writes that are to be blocked can land", () => {
  const block = { response: "block", dump: false } as const;
  const hint = (responses: ResponsePlan, allowed: readonly Rung[]) => {
    const { guard, told } = unarmedGuard({ responses }, allowed);
    guard.arm();
    return notices(told);
  };
  assertEquals(hint(plan(block), rungs), [
    "writes there may land, and are told, not blocked: " +
    ["kernel text", "sys_call_table", "limits"].map((name) =>
      `${name} (protect: a kernel that knows Xen can write)`
    ).join(", "),
  ]);
  assertEquals(hint(plan(block, { "XK-002": "pause" }), ["poll"]), [
    "writes there may land, and are told, not blocked: kernel text (poll)",
  ]);
  assertEquals(hint(plan({ response: "pause", dump: false }), ["poll"]), []);
});

Deno.test("a guest that is paused in vain too often is looked at as it runs for a minute", async () => {
  using clock = new FakeClock();
  const { guest, guard, told } = armedGuard();
  let looks = 0;
  guest.beforeLook = () => guest.write(TABLE + 8n, [looks++ % 2 ? 0x20 : 0x18]);
  const pausesOf = async (passes: number) => {
    guest.calls.length = 0;
    for (let pass = 0; pass < passes; pass++) await guard.pass();
    return guest.calls.filter((call) => call === "pause").length;
  };
  assertEquals(await pausesOf(30), 21);
  assertEquals(notices(told).length, 1);
  assertMatch(notices(told)[0]!, /more than 20 pauses within 60 s/);
  guard.hold();
  assertEquals(guest.paused, false);
  clock.pass(MINUTE);
  assertEquals(await pausesOf(1), 1);
  assertEquals(notices(told).length, 1);
});

Deno.test("an attack stops a guest that was paused in vain too often", async () => {
  const { guest, guard } = armedGuard();
  let looks = 0;
  guest.beforeLook = () => guest.write(TABLE + 8n, [looks++ % 2 ? 0x20 : 0x18]);
  for (let pass = 0; pass < 30; pass++) await guard.pass();
  guest.beforeLook = () => guest.write(TABLE + 8n, [0x18]);
  await guard.pass();
  assertEquals(guest.pausedForAttack, true);
});

function assertNever(): never {
  throw new Error("Nothing was told");
}
