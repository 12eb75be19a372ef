import type { EventBody, MonitorEvent } from "../../detect/event.ts";
import type { Finding } from "../../detect/finding.ts";
import { rules } from "../../detect/rules.ts";

/** A pointer of the system call table that was redirected. */
export const redirected: Finding = {
  rule: rules.invariantData,
  seen: "compare",
  what: "sys_call_table",
  address: 0xffff_ffff_8000_2008n,
  symbol: "sys_call_table+0x8",
  summary: "pointer was redirected from sys_stop to evil",
  expected: Uint8Array.of(0x20, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff),
  found: Uint8Array.of(0, 0x90, 0, 0x80, 0xff, 0xff, 0xff, 0xff),
  method: "remap",
  key: "XK-002 ffffffff80002008 00",
};

/** An event of the guest `web` at a fixed time. */
export function eventOf(body: EventBody): MonitorEvent {
  return {
    time: new Date("2026-11-23T21:00:00.123Z"),
    domain: {
      id: 7,
      name: "web",
      uuid: "00112233-4455-6677-8899-aabbccddeeff",
    },
    ...body,
  } as MonitorEvent;
}
