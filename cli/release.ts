import { findDomain } from "../xen/domains.ts";
import { XenHost } from "../xen/host.ts";
import { Journal } from "../xen/journal.ts";
import { openGuest } from "../xen/open_guest.ts";
import type { Options } from "./options.ts";
import { Output } from "./output.ts";

/** Undoes by hand what a killed monitor left behind. */
export async function release(
  options: Options,
  dom: string,
): Promise<number> {
  using host = new XenHost();
  const domain = findDomain(host.control, host.store, dom);
  using journal = await Journal.take(domain.id);
  using guest = openGuest(host, domain, journal);
  const left = guest.recover(true);
  new Output(options.json).print(domain, {
    type: "notice",
    text: left === undefined ? "nothing was left behind" : `released: ${left}`,
  });
  return 0;
}
