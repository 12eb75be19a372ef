import { ruleSummaries } from "../../detect/rule_summaries.ts";
import type { Rule } from "../../detect/rules.ts";
import { type Html, html } from "./html.ts";
import type { Report } from "./report.ts";
import { sizeText } from "./size_text.ts";

/** Guest and host, regions, rules and files. */
export function renderFacts(report: Report): Html {
  return html`${renderGuest(report)}${renderRules(report)}${
    renderFiles(report)
  }`;
}

function renderGuest(report: Report): Html {
  const { incident, kernel, xen, xkmon, memory } = report;
  const { domain, os, regions } = incident;
  const facts: [name: string, value: Html][] = [
    ["Guest", html`${domain.name}, domain ${domain.id}`],
    ["UUID", html`<code>${domain.uuid}</code>`],
    ["Memory", html`${sizeText(memory)}`],
    ["System", html`${os}`],
    [
      "Kernel file",
      kernel === undefined
        ? html`none is known`
        : html`<code>${kernel.path}</code><br>SHA-256 <code>${kernel.sha256}</code>`,
    ],
    [
      "Xen",
      html`${"value" in xen ? xen.value : `not available: ${xen.missing}`}`,
    ],
    ["Monitor", html`${xkmon}`],
  ];
  const rows = facts.map(([name, value]) =>
    html`
      <tr>
        <th>${name}</th>
        <td class="wrap">${value}</td>
      </tr>
    `
  );
  const guarded = regions.map(({ region, rung }) =>
    html`
      <tr>
        <td>${region.name}</td>
        <td>${region.kind}</td>
        <td>${region.start.toString(16)}</td>
        <td>${sizeText(region.size)}</td>
        <td>${rung}</td>
        <td>${region.source}</td>
        <td>${region.sha256.slice(0, 16)}…</td>
      </tr>
    `
  );
  return html`
    <section class="card" id="guest">
      <h2>Guest and host</h2>
      <table class="lined facts">${rows}</table>
      <h3>What was guarded</h3>
      <div class="scroll">
        <table class="mono lined">
    <tr><th>region</th><th>kind</th><th>address</th><th>size</th><th>writes</th><th>trusted copy</th><th>SHA-256</th></tr>
    ${guarded}</table>
      </div>
      <p
        class="small soft">Writes to a region: trap and gate drop them and tell at once; protect lets them fault in the guest; poll finds them at the next pass.</p>
    </section>
  `;
}

function renderRules({ incident }: Report): Html {
  const rules = new Map<string, Rule>(
    incident.findings.map(({ rule }) => [rule.id, rule]),
  );
  const items = [...rules.values()].map(({ id, title, technique }) =>
    html`
      <tr>
        <th>${id}</th>
        <td
          class="wrap"><b>${title}.</b> ${ruleSummaries[
            id
          ]}<br><span class="soft">MITRE ATT&amp;CK ${technique.id} ${technique
            .name}</span></td>
      </tr>
    `
  );
  return html`
    <section class="card" id="rules">
      <h2>Rules that were broken</h2>
      <table class="lined facts">${items}</table>
    </section>
  `;
}

function renderFiles({ files, lacking }: Report): Html {
  const rows = files.map(({ name, size, sha256 }) =>
    html`
      <tr>
        <td><a href="${encodeURI(name)}">${name}</a></td>
        <td>${sizeText(size)}</td>
        <td>${sha256}</td>
      </tr>
    `
  );
  const table = html`
    <div class="scroll">
      <table class="mono lined">
    <tr><th>file</th><th>size</th><th>SHA-256</th></tr>
    ${rows}</table>
    </div>
  `;
  return html`
    <section class="card" id="files">
    <h2>Files of this folder</h2>
    ${files.length === 0 ? undefined : table}
    ${lacking.map(({ name, reason }) =>
      html`
        <p class="lack"><b>${name}</b> is not there: ${reason}</p>
      `
    )}</section>
  `;
}
