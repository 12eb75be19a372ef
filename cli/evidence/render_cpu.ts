import type {
  ExaminedCpu,
  NamedRegister,
  StackWord,
} from "../../detect/evidence/evidence.ts";
import { bitNames } from "./bit_names.ts";
import { type Html, html } from "./html.ts";
import { renderAddress } from "./render_address.ts";
import { renderCode } from "./render_code.ts";
import { renderPart } from "./render_part.ts";
import { renderWord } from "./render_word.ts";

/** Selectors need fewer digits. */
const SHORT = ["cs", "ss"];

/** A virtual CPU: registers, code, stack. */
export function renderCpu(
  { state, entries, registers, code, stack }: ExaminedCpu,
): Html {
  const pointer = "value" in registers
    ? registers.value.find(({ name }) => name === "rsp")?.value
    : undefined;
  return html`
    <h3>Virtual CPU ${state.vcpu}</h3>
    ${renderPart(registers, renderRegisters)}
    <details open><summary>Code that it runs</summary>
    ${renderPart(code, (lines) => renderCode(lines, "here"))}</details>
    <details>
      <summary>Kernel entry points and tables</summary>
      <div class="registers mono">${entries.map((entry) =>
        html`<div><span>${entry.name}</span><span>${
          renderWord(entry)
        }</span></div>`
      )}</div>
    </details>
    <details${state.vcpu === 0
      ? html`
        open
      `
      : undefined}><summary>Kernel stack, from the last words pushed upwards</summary>
    ${renderPart(stack, (words) => renderStack(words, pointer))}</details>
  `;
}

function renderRegisters(registers: readonly NamedRegister[]): Html {
  const used = registers.filter(({ name, value }) =>
    value !== 0n || !name.startsWith("dr")
  );
  const shown = used.map((register) => {
    const { name, value } = register;
    const bits = bitNames(name, value).join(" ");
    return html`
      <div><span>${name}</span><span>${SHORT.includes(name)
        ? value.toString(16)
        : renderWord(register)}${bits === "" ? undefined : html`
        <span class="soft">${bits}</span>
      `}</span></div>
    `;
  });
  return html`<div class="registers mono">${shown}</div>`;
}

/** Words that lead into the kernel stand for calls; most others are data. */
function renderStack(
  words: readonly StackWord[],
  pointer: bigint | undefined,
): Html {
  const rows = words.map((word) => {
    const isTop = pointer !== undefined && word.address <= pointer &&
      pointer < word.address + 8n;
    const mark = isTop ? " ← rsp" : undefined;
    return html`
      <div
        class="${isTop ? "here" : ""}"><span class="soft">${renderAddress(
          word.address,
        )}</span> ${renderWord(word)}${mark}</div>
    `;
  });
  return html`<div class="stack mono">${rows}</div>`;
}
