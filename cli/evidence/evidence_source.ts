import type { CpuState } from "../../guestos/cpu_state.ts";
import type { KernelFile } from "../../guestos/kernel_file.ts";
import type { SymbolTable } from "../../guestos/symbol_table.ts";
import type { DomainGuest } from "../../xen/domain_guest.ts";
import type { XenHost } from "../../xen/host.ts";
import { PAGE_SIZE } from "../../xen/layouts.ts";
import { dumpCore } from "../../xen/xl.ts";
import type { EvidenceSource } from "./keep_evidence.ts";

/**
 * A live guest as a source of evidence.
 *
 * @param kernel The file that it was started from, where it is known
 * @param stop Ends what takes long
 */
export function evidenceSource(
  host: Pick<XenHost, "control">,
  guest: DomainGuest<CpuState>,
  symbols: SymbolTable,
  kernel: Pick<KernelFile, "path" | "sha256"> | undefined,
  stop: AbortSignal,
): EvidenceSource {
  const { domain } = guest;
  return {
    guest,
    symbols,
    ...(kernel === undefined ? {} : { kernel }),
    stop,
    memory: Math.max(domain.pages, domain.maxPages) * PAGE_SIZE,
    xenVersion: () => host.control.xenVersion(),
    dumpCore: (path, signal) => dumpCore(domain.id, path, signal),
  };
}
