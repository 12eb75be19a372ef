import type { ExaminedCpu } from "../../detect/evidence/evidence.ts";
import type { Finding } from "../../detect/finding.ts";
import { Html, html } from "./html.ts";
import { pageStyle } from "./page_style.ts";
import { renderCpu } from "./render_cpu.ts";
import { renderFacts } from "./render_facts.ts";
import { renderFinding, renderPills } from "./render_finding.ts";
import { renderNextSteps } from "./render_next_steps.ts";
import { renderPart } from "./render_part.ts";
import type { Report } from "./report.ts";

/**
 * An incident as one HTML page that needs nothing else: no script, no font, no
 * network. Whatever comes from the guest is escaped.
 */
export function renderPage(report: Report): string {
  const { incident, evidence } = report;
  const { domain, findings } = incident;
  const title = `${findings[0]?.rule.id ?? "Incident"} in ${domain.name}, ` +
    time(incident.time);
  const { text } = html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta http-equiv="Content-Security-Policy"
          content="default-src 'none'; style-src 'unsafe-inline'">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="referrer" content="no-referrer">
        <title>${title}</title>
        <style>${new Html(pageStyle)}</style>
      </head>
      <body>
        <main>
    ${renderHead(report)}
    ${renderNextSteps(report)}
    ${evidence.findings.map((finding, at) =>
      renderFinding(finding, at + 1)
    )}${more(evidence.moreFindings, "findings were not examined")}
    <section class="card" id="cpus">
    <h2>Virtual CPUs</h2>
    <p class="soft small">As they were when this was written, with the guest ${incident
        .standsStill
      ? "paused"
      : "running"}.</p>
    ${renderPart(evidence.cpus, renderCpus)}${more(
      evidence.moreCpus,
      "virtual CPUs were not examined",
    )}
    </section>
    ${renderFacts(report)}
    <footer>Written by ${report
      .xkmon}. The same facts for machines: <a href="incident.json">incident.json</a>.</footer>
        </main>
      </body>
    </html>
  `;
  return text;
}

function renderHead({ incident, evidence }: Report): Html {
  const { domain, findings, staysPaused } = incident;
  const shown = findings.slice(0, evidence.findings.length);
  const items = shown.map((finding, at) =>
    html`
      <li><strong><a href="#finding-${at + 1}">${finding
        .symbol}</a></strong> in ${finding.what}: ${finding.summary}${by(
          finding,
        )}.${renderPills(finding)}</li>
    `
  );
  return html`
    <header class="head">
      <h1>Attack on the kernel of ${domain.name}</h1>
      <p class="soft">${time(incident.time)} · domain ${domain.id} · ${incident
        .os}</p>
      <div class="pills"><span class="pill ${staysPaused
        ? "warn"
        : ""}">${staysPaused
        ? "guest is paused"
        : `response: ${incident.response}`}</span></div>
      <ul class="what">${items}</ul>
      <nav><a href="#now">What to do now</a>${shown.map((_, at) =>
        html`<a href="#finding-${at + 1}">Finding ${at + 1}</a>`
      )}<a href="#cpus">Virtual CPUs</a><a href="#guest">Guest and host</a><a href="#rules">Rules</a><a href="#files">Files</a></nav>
    </header>
  `;
}

/** Who did it, where that is known. */
function by({ ipSymbol, vcpu }: Finding): Html | undefined {
  if (ipSymbol === undefined) return undefined;
  const where = vcpu === undefined ? "" : ` on virtual CPU ${vcpu}`;
  return html`, by <b class="mono">${ipSymbol}</b>${where}`;
}

function renderCpus(cpus: readonly ExaminedCpu[]): Html {
  return html`${cpus.map(renderCpu)}`;
}

/** The line that says how many are left out. */
function more(count: number, what: string): Html | undefined {
  return count === 0 ? undefined : html`
    <p class="lack">${count} more ${what}.</p>
  `;
}

/** `2026-11-29 10:20:30.123 UTC` */
function time(date: Date): string {
  return date.toISOString().replace("T", " ").replace("Z", " UTC");
}
