import type { SymbolTable } from "../../guestos/symbol_table.ts";
import { Disassembler } from "../../guestos/x86/disassembler.ts";
import type { Finding } from "../finding.ts";
import { PAGE_SIZE } from "../guest.ts";
import type { Incident } from "../incident.ts";
import type { TrustedRegion } from "../trusted_region.ts";
import type { Evidence, EvidencePage, ExaminedGuest } from "./evidence.ts";
import { examineCpu } from "./examine_cpu.ts";
import { examineFinding, isAboutMemory, regionOf } from "./examine_finding.ts";
import { KernelView } from "./kernel_view.ts";
import { gather, type Part, reasonOf } from "./part.ts";

const MAX_FINDINGS = 32;
const MAX_CPUS = 32;
const MAX_PAGES = 64;

/**
 * Collects what a guest that stands still shows of an incident. Nothing that
 * fails keeps the rest from being collected.
 */
export async function collectEvidence(
  guest: ExaminedGuest,
  symbols: SymbolTable,
  incident: Incident,
): Promise<Evidence> {
  const view = new KernelView(symbols, await loadDisassembler());
  const regions = incident.regions.map(({ region }) => region);
  const { findings } = incident;
  const cpus = gather(() => {
    guest.refresh();
    return guest.cpus;
  });
  const pages = pagesOf(findings);
  return {
    findings: findings.slice(0, MAX_FINDINGS).map((finding) =>
      examineFinding(guest, view, regions, finding)
    ),
    moreFindings: Math.max(0, findings.length - MAX_FINDINGS),
    cpus: "missing" in cpus ? cpus : {
      value: cpus.value.slice(0, MAX_CPUS).map((state) =>
        examineCpu(guest, view, state)
      ),
    },
    moreCpus: "missing" in cpus ? 0 : Math.max(0, cpus.value.length - MAX_CPUS),
    pages: pages.slice(0, MAX_PAGES).map((address) =>
      pageAt(guest, regions, address)
    ),
    morePages: pages.length > MAX_PAGES,
  };
}

async function loadDisassembler(): Promise<Part<Disassembler>> {
  try {
    return { value: await Disassembler.load() };
  } catch (error) {
    return { missing: reasonOf(error) };
  }
}

/** Addresses of the pages that findings are about, each once. */
function pagesOf(findings: readonly Finding[]): bigint[] {
  const pages = findings.filter(isAboutMemory).flatMap((finding) => {
    const { address, found } = finding;
    const last = address + BigInt(Math.max(found?.length ?? 1, 1) - 1);
    return [address, last].map((at) => at - at % BigInt(PAGE_SIZE));
  });
  return [...new Set(pages)];
}

function pageAt(
  guest: ExaminedGuest,
  regions: readonly TrustedRegion[],
  address: bigint,
): EvidencePage {
  const region = regionOf(regions, address);
  const from = region === undefined ? 0 : Number(address - region.start);
  return {
    address,
    ...(region === undefined
      ? {}
      : { trusted: region.trusted.slice(from, from + PAGE_SIZE) }),
    found: gather(() => guest.read(address, PAGE_SIZE)),
  };
}
