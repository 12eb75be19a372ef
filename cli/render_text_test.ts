import { assertEquals } from "@std/assert";
import type { EventBody } from "../detect/event.ts";
import { rules } from "../detect/rules.ts";
import { renderText } from "./render_text.ts";
import { eventOf, redirected } from "./testing/events.ts";

function render(body: EventBody, color = false): string[] {
  return renderText(eventOf(body), color).split("\n");
}

Deno.test("a finding tells what, where, how seen, the bytes and the technique", () => {
  assertEquals(render({ type: "finding", finding: redirected }), [
    "2026-11-23T21:00:00.123Z web(7) ATTACK XK-002 invariant data: " +
    "sys_call_table+0x8 (0xffffffff80002008) in sys_call_table: pointer was " +
    "redirected from sys_stop to evil",
    "  seen by comparison with the trusted copy; method: remap",
    "  expected 20 00 00 80 ff ff ff ff",
    "  found    00 90 00 80 ff ff ff ff",
    "  MITRE ATT&CK T1014 Rootkit",
  ]);
});

Deno.test("a fault tells who wrote, and that the bytes are still there", () => {
  const lines = render({
    type: "finding",
    finding: {
      ...redirected,
      seen: "fault",
      method: "direct write",
      found: redirected.expected!,
      ip: 0xffff_ffff_8000_9004n,
      ipSymbol: "evil+0x4",
    },
  });
  assertEquals(lines.slice(1, 3), [
    "  seen by fault of the guest; method: direct write; instruction evil+0x4 " +
    "(0xffffffff80009004)",
    "  bytes are still 20 00 00 80 ff ff ff ff",
  ]);
});

Deno.test("a write that Xen stopped tells what would be there", () => {
  const { found, ...stopped } = redirected;
  const lines = render({
    type: "finding",
    finding: { ...stopped, seen: "stop", attempted: found! },
  });
  assertEquals(lines.slice(1, 3), [
    "  seen by a write that Xen stopped; method: remap",
    "  would have become 00 90 00 80 ff ff ff ff",
  ]);
});

Deno.test("a finding without bytes shows none", () => {
  const { expected: _, found: __, method: ___, ...bare } = redirected;
  assertEquals(
    render({ type: "finding", finding: { ...bare, seen: "drift" } }).slice(1),
    ["  seen by drift from the trusted state", "  MITRE ATT&CK T1014 Rootkit"],
  );
});

Deno.test("what is guarded is listed, and whether the kernel is up", () => {
  const region = {
    name: "kernel text",
    kind: "code",
    rung: "protect",
    start: 0xffff_ffff_8000_0000n,
    pages: 2,
    source: "kernel file",
    sha256: "0123456789abcdef0123456789abcdef",
  } as const;
  const body = {
    type: "armed",
    os: "SimpleOS 1.0",
    phase: "running",
    regions: [
      region,
      { ...region, rung: "dirty" },
      { ...region, rung: "poll" },
      { ...region, rung: "gate" },
      { ...region, rung: "trap" },
      { ...region, rung: "gate", name: "table", kind: "data", pages: 1 },
    ],
    entries: 3,
    registers: true,
  } as const;
  assertEquals(render(body), [
    "2026-11-23T21:00:00.123Z web(7) GUARDED SimpleOS 1.0, all rules at work; " +
    "3 page-table entries made read-only",
    ...[
      "protect: writes fault",
      "dirty: writes are seen at the next pass, and only pages written to " +
      "are compared",
      "poll: writes are seen at the next pass",
      "gate: writes are dropped",
      "trap: writes are dropped, told at once",
    ]
      .map((promise) =>
        `  kernel text (code): 2 pages at 0xffffffff80000000, ${promise}; ` +
        "trusted copy: kernel file, SHA-256 0123456789abcdef…"
      ),
    "  table (data): 1 page at 0xffffffff80000000, gate: writes are dropped, " +
    "told at once; trusted copy: kernel file, SHA-256 0123456789abcdef…",
    "  registers: changes that weaken the kernel are denied",
  ]);
  const { length } = render({ ...body, registers: false });
  assertEquals(length, render(body).length - 1);
  assertEquals(
    render({ ...body, phase: "booting", regions: [] })[0]!.includes(
      "still booting",
    ),
    true,
  );
});

Deno.test("the other events are one line each", () => {
  assertEquals(
    render({
      type: "unreadable",
      unreadable: {
        rule: rules.kernelText,
        what: "_text",
        address: 0x1000n,
        reason: "not-present",
      },
    }),
    [
      "2026-11-23T21:00:00.123Z web(7) CANNOT TELL XK-001 kernel text: _text " +
      "(0x1000) is unreadable: not-present",
    ],
  );
  assertEquals(
    render({ type: "response", response: "pause", text: "web is paused" }),
    ["2026-11-23T21:00:00.123Z web(7) PAUSE web is paused"],
  );
  assertEquals(render({ type: "notice", text: "guest is gone" }), [
    "2026-11-23T21:00:00.123Z web(7) guest is gone",
  ]);
});

Deno.test("colour is there for a terminal only, and changes no word", () => {
  const body = { type: "finding", finding: redirected } as const;
  const plain = render(body).join("\n");
  const colored = render(body, true).join("\n");
  assertEquals(plain.includes("\x1b"), false);
  assertEquals(colored.includes("\x1b[1;31mATTACK\x1b[0m"), true);
  // deno-lint-ignore no-control-regex
  assertEquals(colored.replace(/\x1b\[[\d;]*m/g, ""), plain);
});
