import { assertEquals } from "@std/assert";
import { renderJson } from "./render_json.ts";
import { eventOf, redirected } from "./testing/events.ts";

Deno.test("an event is one line with time and domain", () => {
  const line = renderJson(eventOf({ type: "notice", text: "one\ntwo" }));
  assertEquals(line.includes("\n"), false);
  assertEquals(JSON.parse(line), {
    time: "2026-11-23T21:00:00.123Z",
    domain: {
      id: 7,
      name: "web",
      uuid: "00112233-4455-6677-8899-aabbccddeeff",
    },
    type: "notice",
    text: "one\ntwo",
  });
});

Deno.test("addresses and bytes are hexadecimal text, and no key leaks", () => {
  const { finding } = JSON.parse(renderJson(eventOf({
    type: "finding",
    finding: { ...redirected, ip: 0xffff_ffff_8000_9004n },
  })));
  assertEquals(finding, {
    rule: {
      id: "XK-002",
      title: "invariant data",
      technique: { id: "T1014", name: "Rootkit" },
    },
    seen: "compare",
    what: "sys_call_table",
    address: "0xffffffff80002008",
    symbol: "sys_call_table+0x8",
    summary: "pointer was redirected from sys_stop to evil",
    expected: "20000080ffffffff",
    found: "00900080ffffffff",
    method: "remap",
    ip: "0xffffffff80009004",
  });
});
