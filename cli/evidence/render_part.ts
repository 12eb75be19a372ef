import type { Part } from "../../detect/evidence/part.ts";
import { type Html, html } from "./html.ts";

/** A part of the evidence, or the line that says why it is missing. */
export function renderPart<T>(part: Part<T>, render: (value: T) => Html): Html {
  return "value" in part ? render(part.value) : renderLack(part.missing);
}

/** The line that says why something is missing. */
export function renderLack(reason: string): Html {
  return html`<p class="lack">Not available: ${reason}</p>`;
}
