import type { NamedLine } from "../../detect/evidence/evidence.ts";
import { type Html, html } from "./html.ts";
import { renderAddress } from "./render_address.ts";

/** Digits that are the same all over a kernel */
const SHORT = 8;

/**
 * Code as a table: address, bytes, instruction.
 *
 * @param mark Class of the instructions that stand out
 * @param brief Whether two tables stand side by side: addresses are short
 */
export function renderCode(
  lines: readonly NamedLine[],
  mark: "here" | "gone" | "come",
  brief = false,
): Html {
  const rows = lines.map((line, at) => {
    const { address, bytes, text, targetSymbol, marked, symbol } = line;
    const isStart = at === 0 || !symbol.includes("+");
    const label = isStart
      ? html`
        <tr class="label">
          <td colspan="3">${symbol}:</td>
        </tr>
      `
      : undefined;
    const target = targetSymbol === undefined ? undefined : html`
      <span class="sym">&lt;${targetSymbol}&gt;</span>
    `;
    return html`
      ${label}<tr class="${marked ? mark : ""}">
        <td>${renderAddress(address).slice(brief ? SHORT : 0)}</td>
        <td class="raw">${spaced(bytes)}</td>
        <td>${text}${target}</td>
      </tr>
    `;
  });
  return html`
    <div class="scroll">
      <table class="mono code">${rows}</table>
    </div>
  `;
}

function spaced(bytes: Uint8Array): string {
  return bytes.toHex().replace(/..(?=.)/g, "$& ");
}
