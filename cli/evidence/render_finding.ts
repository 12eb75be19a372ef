import type {
  ChangedCode,
  ChangedWord,
  ExaminedFinding,
  Surroundings,
} from "../../detect/evidence/evidence.ts";
import type { Finding } from "../../detect/finding.ts";
import { rules } from "../../detect/rules.ts";
import { type Html, html } from "./html.ts";
import { outcomeOf } from "./outcome.ts";
import { renderAddress } from "./render_address.ts";
import { renderBytes } from "./render_bytes.ts";
import { renderCode } from "./render_code.ts";
import { renderPart } from "./render_part.ts";
import { renderFlags, renderWalk } from "./render_walk.ts";
import { renderWord } from "./render_word.ts";

/**
 * A finding with all that there is to know of it.
 *
 * @param number From 1
 */
export function renderFinding(
  examined: ExaminedFinding,
  number: number,
): Html {
  const { finding, bytes, code, words, walk } = examined;
  return html`
    <section class="card" id="finding-${number}">
    <h2>${number}. ${finding.rule.id}: ${finding.symbol}</h2>
    ${renderPills(finding)}
    <p>${sentence(finding.summary)} Address <code>0x${finding.address.toString(
      16,
    )}</code>, in ${finding.what}. ${outcomeOf(finding).how}</p>
    ${renderWho(examined)}
    ${words.length === 0 ? undefined : renderWords(finding, words)}
    ${bytes === undefined ? undefined : renderMemory(bytes)}
    ${code === undefined ? undefined : renderChangedCode(code)}
    ${walk === undefined
      ? undefined
      : html`<h3>How the page tables lead to it now</h3>${
        renderPart(walk, renderWalk)
      }`}
    </section>
  `;
}

/** Rule, outcome and method in short. */
export function renderPills(finding: Finding): Html {
  const { rule, method, drift } = finding;
  const { word, stopped } = outcomeOf(finding);
  return html`
    <div
      class="pills"><span class="pill rule">${rule
        .id}</span><span class="pill ${stopped
        ? "good"
        : "bad"}">${word}</span>${[rule.title, method, drift].map((text) =>
          text === undefined
            ? undefined
            : html`<span class="pill">${text}</span>`
        )}</div>
  `;
}

/** A summary as a sentence. */
function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}

function renderWho({ finding, instruction }: ExaminedFinding): Html {
  const { ip, ipSymbol, vcpu, seen } = finding;
  if (ip === undefined || instruction === undefined) {
    return html`<h3>Who did it</h3>
<p>Not known: it was found after it had happened. What the virtual CPUs did when the guest was stopped is <a href="#cpus">below</a>.</p>`;
  }
  const where = vcpu === undefined ? "" : ` on virtual CPU ${vcpu}`;
  const doubt = seen === "fault"
    ? html`
      <span class="soft">The guest's handler says so: a hint, and no proof.</span>
    `
    : undefined;
  return html`<h3>Who did it</h3>
<p>The instruction at <b class="mono">${ipSymbol}</b> (<code>0x${
    ip.toString(16)
  }</code>)${where}.${doubt}</p>
${renderPart(instruction, (lines) => renderCode(lines, "here"))}`;
}

function renderWords(finding: Finding, words: readonly ChangedWord[]): Html {
  const now = finding.attempted === undefined ? "found" : "would have become";
  const isEntry = finding.rule === rules.pageTables;
  const flags = (value: bigint) =>
    isEntry ? html`<br>${renderFlags(value, 1)}` : undefined;
  const rows = words.map(({ address, symbol, expected, found }) =>
    html`
      <tr>
        <td>${address === undefined
          ? isEntry ? "page-table entry" : finding.what
          : html`${
            renderAddress(address)
          } <span class="soft">${symbol}</span>`}</td>
        <td class="was">${renderWord(expected)}${flags(expected.value)}</td>
        <td class="is">${renderWord(found)}${flags(found.value)}</td>
      </tr>
    `
  );
  return html`
    <h3>Values</h3>
    <div class="scroll">
      <table class="mono lined">
    <tr><th>place</th><th>expected</th><th>${now}</th></tr>
    ${rows}</table>
    </div>
    ${words.map(renderTarget)}
  `;
}

/** The code to which a changed pointer leads. */
function renderTarget({ found, code }: ChangedWord): Html | undefined {
  if (code === undefined) return undefined;
  const where = found.symbol ?? `0x${found.value.toString(16)}`;
  return html`<h3>The code that it leads to now: ${where}</h3>
${renderPart(code, (lines) => renderCode(lines, "here"))}`;
}

function renderMemory(bytes: Surroundings): Html {
  const isSame = bytes.expected !== undefined && "value" in bytes.expected &&
    "value" in bytes.found &&
    bytes.expected.value.toHex() === bytes.found.value.toHex();
  const title = isSame
    ? "Memory: as expected, nothing has changed"
    : bytes.expected === undefined
    ? "Memory"
    : "Memory: expected (−) and found (+)";
  return html`<h3>${title}</h3>${renderBytes(bytes)}`;
}

function renderChangedCode({ expected, found }: ChangedCode): Html {
  const isSame = "value" in found && "value" in expected &&
    !found.value.some(({ marked }) => marked);
  if (isSame) {
    return html`<h3>Code: as expected</h3>${renderCode(found.value, "come")}`;
  }
  const show = (part: ChangedCode["expected"], mark: "gone" | "come") =>
    renderPart(part, (lines) => renderCode(lines, mark, true));
  return html`
    <div class="two">
      <div><h3>Code as expected</h3>${show(expected, "gone")}</div>
      <div><h3>Code as found</h3>${show(found, "come")}</div>
    </div>
  `;
}
