import { findDomain } from "../xen/domains.ts";
import { monitor } from "./monitor.ts";
import { openEvidence } from "./open_evidence.ts";
import type { Options } from "./options.ts";
import { StopSignals } from "./stop_signals.ts";

/**
 * Guards a guest that runs already.
 *
 * @param dom Name or domain id
 * @returns Exit status
 */
export async function guard(options: Options, dom: string): Promise<number> {
  openEvidence(options);
  using stop = new StopSignals();
  return await monitor(
    options,
    ({ control, store }) => findDomain(control, store, dom),
    stop,
  );
}
