import { scanGuest } from "../detect/scan_guest.ts";
import { findDomain } from "../xen/domains.ts";
import { XenHost } from "../xen/host.ts";
import { PvGuest } from "../xen/pv_guest.ts";
import { loadProfile } from "./load_profile.ts";
import type { Options } from "./options.ts";
import { Output } from "./output.ts";

/**
 * Looks at a guest once and changes nothing.
 *
 * @returns 0 clean, 1 tampered, 2 could not tell
 */
export async function scan(options: Options, dom: string): Promise<number> {
  using host = new XenHost();
  const output = new Output(options.json);
  const domain = findDomain(host.control, host.store, dom);
  const { profile, notices } = await loadProfile(host.store, domain, options);
  using guest = new PvGuest(host, domain);
  for (const text of notices) output.print(domain, { type: "notice", text });
  const { findings, unreadable } = scanGuest(guest, profile);
  for (const finding of findings) {
    output.print(domain, { type: "finding", finding });
  }
  for (const place of unreadable) {
    output.print(domain, { type: "unreadable", unreadable: place });
  }
  const verdict = findings.length > 0
    ? { status: 1, text: "tampered" }
    : unreadable.length > 0
    ? { status: 2, text: "could not tell" }
    : { status: 0, text: "clean" };
  output.print(domain, { type: "notice", text: `scan: ${verdict.text}` });
  return verdict.status;
}
