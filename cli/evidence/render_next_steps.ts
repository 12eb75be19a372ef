import { type Html, html } from "./html.ts";
import type { Report } from "./report.ts";

interface Step {
  readonly command: string;
  readonly text: string;
}

/** Whether the guest stands still, and what can be done now. */
export function renderNextSteps(report: Report): Html {
  const { domain, standsStill, staysPaused, response } = report.incident;
  const steps = stepsOf(report).map(({ command, text }) =>
    html`
      <div><code>${command}</code><span>${text}</span></div>
    `
  );
  return html`
    <section class="card" id="now">
      <h2>What to do now</h2>
      <p>${staysPaused
        ? html`<b>${domain.name} is paused</b> and stays so until somebody lets it run: nothing in it changes any more.`
        : html`<b>${domain.name} is not to stay paused</b>: the response to this was <code>${response}</code>. ${
          standsStill
            ? "It was paused while this was written, and is still if that failed: xkmon's next line tells, and xl list."
            : "It ran on while this was written: what is shown here may be of different moments."
        }`}</p>
      <div class="commands">${steps}</div>
    </section>
  `;
}

function stepsOf({ incident, files, kernel }: Report): Step[] {
  const { id } = incident.domain;
  const hasCore = files.some(({ name }) => name === "memory.core");
  const file = kernel === undefined ? "" : ` --kernel ${quoted(kernel.path)}`;
  const dump = {
    command: `xl dump-core ${id} ${id}.core`,
    text: "keeps the guest's memory, which is not in this folder: see Files",
  };
  const ifPaused = [
    ...(hasCore ? [] : [dump]),
    {
      command: `xl unpause ${id}`,
      text: "lets it run on, with whatever has landed in its memory",
    },
    {
      command: `xkmon release --dom ${id}`,
      text: "takes off what keeps the guest from writing, and the pause, " +
        "should xkmon have been killed",
    },
    {
      command: `xl destroy ${id}`,
      text: "ends it at once; xl create with its configuration starts it " +
        "anew, from its disk",
    },
  ];
  return [
    ...(hasCore
      ? [{
        command: `xkmon scan --core memory.core${file}`,
        text: "judges the memory in this folder again, on any machine",
      }]
      : []),
    ...(incident.staysPaused ? ifPaused : [{
      command: `xl reboot ${id}`,
      text: "starts the guest anew, from its disk",
    }]),
  ];
}

/** A path as one word of a shell. */
function quoted(path: string): string {
  return /^[\w./+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
