import type { MonitorEvent } from "../detect/event.ts";
import { jsonText } from "./json_text.ts";

/** An event as one line of JSON; see {@linkcode jsonText}. */
export function renderJson(event: MonitorEvent): string {
  return jsonText(event);
}
