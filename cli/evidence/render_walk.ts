import {
  entryFrame,
  type Mapped,
  type NotMapped,
  type WalkStep,
} from "../../xen/page_walk.ts";
import { entryFlags } from "./entry_flags.ts";
import { type Html, html } from "./html.ts";
import { renderAddress } from "./render_address.ts";
import { sizeText } from "./size_text.ts";

const TABLES: Readonly<Record<number, string>> = {
  5: "PML5",
  4: "PML4",
  3: "page directory pointers",
  2: "page directory",
  1: "page table",
};

/** The way through the page tables, entry by entry, and where it ends. */
export function renderWalk(walk: Mapped | NotMapped): Html {
  return html`
    <div class="scroll">
      <table class="mono lined">
    <tr><th>level</th><th>table in frame</th><th>index</th><th>entry</th><th>leads to frame</th><th>flags</th></tr>
    ${walk.steps.map(renderStep)}</table>
    </div>
    <p class="small">${renderEnd(walk)}</p>
  `;
}

function renderStep({ level, table, index, entry }: WalkStep): Html {
  return html`
    <tr>
      <td>${level} ${TABLES[level]}</td>
      <td>0x${table.toString(16)}</td>
      <td>${index}</td>
      <td>${renderAddress(entry)}</td>
      <td>0x${entryFrame(entry).toString(16)}</td>
      <td>${renderFlags(entry, level)}</td>
    </tr>
  `;
}

/** The flags of an entry; those that let memory be changed stand out. */
export function renderFlags(entry: bigint, level: number): Html {
  const flags = entryFlags(entry, level).map((flag, at) =>
    html`${at === 0 ? "" : ", "}${
      flag === "writable" ? html`<b>${flag}</b>` : flag
    }`
  );
  return html`${flags}`;
}

function renderEnd(walk: Mapped | NotMapped): Html {
  if (walk.kind !== "mapped") {
    return html`The address leads nowhere: <b>${walk.kind}</b>.`;
  }
  const { frame, pageSize, writable, executable } = walk;
  const access = writable ? "writable" : "read-only";
  return html`Together: frame <code>0x${frame.toString(16)}</code>, a page of ${
    sizeText(pageSize)
  }, <b>${access}</b>, ${executable ? "executable" : "not executable"}.`;
}
