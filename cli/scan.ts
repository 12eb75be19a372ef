import type { PassResult } from "../detect/finding.ts";
import type { Guest } from "../detect/guest.ts";
import { scanGuest } from "../detect/scan_guest.ts";
import type { KernelMemory } from "../guestos/memory.ts";
import { CoreGuest } from "../xen/core_guest.ts";
import { findDomain } from "../xen/domains.ts";
import { XenHost } from "../xen/host.ts";
import { openGuest } from "../xen/open_guest.ts";
import { findKernel } from "../xen/recorded_kernel.ts";
import { loadKernel, openProfile } from "./load_profile.ts";
import type { Options } from "./options.ts";
import { Output } from "./output.ts";

/** How long a kernel may be in the midst of changing itself, ms */
const PATIENCE = 10_000;

/**
 * Looks at a running guest once and changes nothing.
 *
 * @param dom Name or domain id
 * @returns 0 clean, 1 tampered, 2 could not tell
 */
export async function scan(options: Options, dom: string): Promise<number> {
  using host = new XenHost();
  const domain = findDomain(host.control, host.store, dom);
  using guest = openGuest(host, domain);
  const recorded = () => findKernel(host.store, domain);
  return await scanMemory(options, guest, recorded, PATIENCE);
}

/**
 * Judges a core of a guest; needs no Xen.
 *
 * @param path The core
 * @returns 0 clean, 1 tampered, 2 could not tell
 */
export async function scanCore(
  options: Options,
  path: string,
): Promise<number> {
  using guest = new CoreGuest(path);
  const nothing = () => Promise.resolve(undefined);
  return await scanMemory(options, guest, nothing, 0);
}

async function scanMemory(
  options: Options,
  guest: Guest & KernelMemory,
  recorded: () => Promise<string | undefined>,
  patience: number,
): Promise<number> {
  const output = new Output(options.json);
  const { domain } = guest;
  const notice = (text: string) =>
    output.print(domain, { type: "notice", text });
  const loaded = await loadKernel(recorded, options);
  loaded.notices.forEach(notice);
  const opened = openProfile(loaded, guest, options);
  opened.notices.forEach(notice);
  const result = await scanGuest(guest, opened.profile, patience);
  for (const finding of result.findings) {
    output.print(domain, { type: "finding", finding });
  }
  for (const unreadable of result.unreadable) {
    output.print(domain, { type: "unreadable", unreadable });
  }
  for (const instrumentation of result.instrumentation) {
    output.print(domain, { type: "instrumentation", instrumentation });
  }
  const { status, text } = verdict(result);
  notice(`scan: ${text}`);
  return status;
}

function verdict({ findings, unreadable }: PassResult) {
  if (findings.length > 0) return { status: 1, text: "tampered" };
  if (unreadable.length > 0) return { status: 2, text: "could not tell" };
  return { status: 0, text: "clean" };
}
