import type { Surroundings } from "../../detect/evidence/evidence.ts";
import { type Html, html } from "./html.ts";
import { renderAddress } from "./render_address.ts";
import { renderLack } from "./render_part.ts";

const ROW = 16;

/** What a row says of the bytes */
const SIGNS = { same: " ", gone: "−", come: "+" } as const;

/** Bytes around a finding: what must be there and what is, row by row. */
export function renderBytes({ start, expected, found }: Surroundings): Html {
  const is = "value" in found ? found.value : undefined;
  const must = expected !== undefined && "value" in expected
    ? expected.value
    : undefined;
  const lack = "missing" in found ? renderLack(found.missing) : undefined;
  const shown = is ?? must;
  if (shown === undefined) return html`${lack}`;
  const rows: Html[] = [];
  for (let at = 0; at < shown.length; at += ROW) {
    const address = start + BigInt(at);
    const [before, now] = [must, is].map((bytes) =>
      bytes?.subarray(at, at + ROW)
    );
    if (before === undefined || now === undefined) {
      rows.push(row("same", address, (before ?? now)!));
    } else if (before.every((byte, at) => byte === now[at])) {
      rows.push(row("same", address, now));
    } else {
      rows.push(row("gone", address, before, now));
      rows.push(row("come", address, now, before));
    }
  }
  return html`
    ${lack}<div class="scroll">
      <table class="mono hex">${rows}</table>
    </div>
  `;
}

/** @param other What stands in the other row: bytes that differ are marked */
function row(
  kind: keyof typeof SIGNS,
  address: bigint,
  bytes: Uint8Array,
  other = bytes,
): Html {
  const cells = (show: (byte: number) => string, gap: string) =>
    Array.from(bytes, (byte, at) => {
      const space = at === 0 ? "" : at === 8 ? gap + gap : gap;
      return byte === other[at]
        ? html`${space}${show(byte)}`
        : html`${space}<i>${show(byte)}</i>`;
    });
  return html`
    <tr class="${kind}">
      <td class="sign">${SIGNS[kind]}</td>
      <td>${renderAddress(address)}</td>
      <td>
        <pre>${cells((byte) => byte.toString(16).padStart(2, "0"), " ")}</pre>
      </td>
      <td>
        <pre>${cells(character, "")}</pre>
      </td>
    </tr>
  `;
}

function character(byte: number): string {
  return byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "·";
}
