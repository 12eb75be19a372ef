import type { Word } from "../../detect/evidence/evidence.ts";
import { type Html, html } from "./html.ts";
import { renderAddress } from "./render_address.ts";

/** A word, and where it leads. */
export function renderWord({ value, symbol }: Word): Html {
  const where = symbol === undefined ? undefined : html`
    <span class="sym">${symbol}</span>
  `;
  return html`${renderAddress(value)}${where}`;
}
