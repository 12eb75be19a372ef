import { collectEvidence } from "../../detect/evidence/collect_evidence.ts";
import type {
  EvidencePage,
  ExaminedGuest,
} from "../../detect/evidence/evidence.ts";
import { gather } from "../../detect/evidence/part.ts";
import type { Incident } from "../../detect/incident.ts";
import type { SymbolTable } from "../../guestos/symbol_table.ts";
import { versionText } from "../../version_text.ts";
import { assertRoom } from "./assert_room.ts";
import { incidentName } from "./incident_name.ts";
import { KeptFiles } from "./kept_files.ts";
import { renderPage } from "./render_page.ts";
import type { Report } from "./report.ts";
import { reportJson } from "./report_json.ts";

const PAGE = "incident.html";
const JSON_FILE = "incident.json";
const CORE = "memory.core";
/** Folders of one moment that are told apart */
const MAX_SAME = 100;
/** A disk slower than this is no place for a core, bytes a second */
const SLOWEST = 10 << 20;
/** And a guest whose pages lie far apart takes long however small it is, ms */
const CORE_PATIENCE = 300_000;

/** Where the evidence comes from. */
export interface EvidenceSource {
  /** It stands still */
  readonly guest: ExaminedGuest;
  readonly symbols: SymbolTable;
  /** The file that its kernel was started from, where it is known */
  readonly kernel?: Report["kernel"];
  /** The operator wants an end: the guest's memory is not waited for */
  readonly stop?: AbortSignal;
  /** Bytes of memory that it has */
  readonly memory: number;
  /** Tells the version of the hypervisor. */
  xenVersion(): string;
  /**
   * Writes the guest's memory to a file that does not exist yet.
   *
   * @param signal Ends it
   */
  dumpCore(path: string, signal: AbortSignal): Promise<void>;
}

/**
 * Keeps what there is to know of an incident in a folder of its own: a page
 * for people, the same for machines, the pages concerned, the guest's memory.
 * What cannot be had is told in the page.
 *
 * @param folder Where the folders of incidents lie
 * @returns Path of the incident's folder
 * @throws {Error} If there is not even room for the page
 */
export async function keepEvidence(
  source: EvidenceSource,
  incident: Incident,
  folder: string,
): Promise<string> {
  const directory = await makeFolder(folder, incidentName(incident));
  const files = new KeptFiles(directory);
  const { guest, symbols, kernel, memory } = source;
  const facts = {
    incident,
    evidence: await collectEvidence(guest, symbols, incident),
    ...(kernel === undefined
      ? {}
      : { kernel: { path: kernel.path, sha256: kernel.sha256 } }),
    xen: gather(() => source.xenVersion()),
    xkmon: versionText(),
    memory,
  };
  const report = (lacking: Report["lacking"] = []): Report => ({
    ...facts,
    files: files.kept,
    lacking: [...files.lacking, ...lacking],
  });
  // The page comes first: the rest may take long, or all the room
  const unfinished = renderPage(report([{
    name: "the other files",
    reason: "they are being written, or xkmon was ended meanwhile",
  }]));
  try {
    await files.replace(PAGE, unfinished);
  } catch (error) {
    await Deno.remove(directory).catch(() => {});
    throw error;
  }
  await keepPages(files, facts.evidence.pages);
  await files.keep(CORE, async (path) => {
    await assertRoom(directory, memory);
    const limit = AbortSignal.timeout(
      Math.round(CORE_PATIENCE + memory / SLOWEST * 1000),
    );
    const { stop } = source;
    await source.dumpCore(
      path,
      stop === undefined ? limit : AbortSignal.any([stop, limit]),
    );
  });
  const json = new TextEncoder().encode(reportJson(report()));
  await files.write(JSON_FILE, json);
  try {
    await files.replace(PAGE, renderPage(report()));
  } catch {
    // The first page is there, and says that this one is not
  }
  return directory;
}

/** Makes a folder that is not there yet, for its owner only. */
async function makeFolder(folder: string, name: string): Promise<string> {
  await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  for (let same = 1;; same++) {
    const path = `${folder}/${name}${same === 1 ? "" : `-${same}`}`;
    try {
      await Deno.mkdir(path, { mode: 0o700 });
      return path;
    } catch (error) {
      const isThere = error instanceof Deno.errors.AlreadyExists;
      if (!isThere || same === MAX_SAME) throw error;
    }
  }
}

async function keepPages(
  files: KeptFiles,
  pages: readonly EvidencePage[],
): Promise<void> {
  for (const { address, trusted, found } of pages) {
    const name = `${address.toString(16)}.bin`;
    if (trusted !== undefined) await files.write(`trusted-${name}`, trusted);
    if ("value" in found) await files.write(`found-${name}`, found.value);
    else files.lack(`found-${name}`, found.missing);
  }
}
