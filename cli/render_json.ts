import type { MonitorEvent } from "../detect/event.ts";

/**
 * An event as one line of JSON. Addresses are text, hexadecimal with `0x`;
 * bytes are hexadecimal text in memory order; times are ISO 8601, UTC.
 */
export function renderJson(event: MonitorEvent): string {
  return JSON.stringify(event, (name, value) => {
    if (name === "key") return undefined;
    if (typeof value === "bigint") return `0x${value.toString(16)}`;
    if (value instanceof Uint8Array) return value.toHex();
    return value;
  });
}
