import { type Domain, domainById, findDomain } from "../xen/domains.ts";
import { NoSuchDomainError } from "../xen/errors.ts";
import { XenHost } from "../xen/host.ts";
import { createPaused, destroyGuest, readGuestConfig } from "../xen/xl.ts";
import { loadKernel } from "./load_profile.ts";
import { monitor } from "./monitor.ts";
import { openEvidence } from "./open_evidence.ts";
import type { Options } from "./options.ts";
import { StopSignals } from "./stop_signals.ts";
import { UsageError } from "./usage_error.ts";

/**
 * Checks the kernel file of an xl configuration, creates the guest paused,
 * arms, and lets it run: no instruction runs unwatched.
 */
export async function start(options: Options, file: string): Promise<number> {
  // What is wrong with this host is said before a guest is created
  new XenHost()[Symbol.dispose]();
  openEvidence(options);
  const config = await readGuestConfig(file);
  if (config.type === "hvm") {
    throw new UsageError(
      `${file} is of an HVM guest, which loads its kernel itself: create it, ` +
        "then run xkmon --dom NAME",
    );
  }
  if (config.kernel === undefined) {
    throw new UsageError(
      `${file} names no kernel file: xkmon start is for guests that Xen boots ` +
        "directly (kernel = ...)",
    );
  }
  // Refuses a wrong digest before anything starts
  const named = Promise.resolve(config.kernel);
  const { kernel } = await loadKernel(() => named, options);
  if (kernel === undefined) {
    throw new UsageError(
      `${config.kernel} is a boot loader, which loads the kernel itself: ` +
        "create the guest, then run xkmon --dom NAME --kernel FILE",
    );
  }
  using stop = new StopSignals();
  await createPaused(file);
  let created: Domain | undefined;
  let armed = false;
  try {
    created = createdGuest(config.name);
    // From here on by its id: a name may be a number, and may change
    const { id } = created;
    return await monitor(
      options,
      ({ control, store }) => {
        const domain = domainById(control, store, id);
        if (domain !== undefined) return domain;
        throw new NoSuchDomainError(`${config.name} is gone`);
      },
      stop,
      (host) => {
        host.control.unpause(id);
        armed = true;
      },
    );
  } finally {
    // What was never armed never ran: nothing is lost, nothing stays paused
    if (!armed) await destroyGuest(String(created?.id ?? config.name));
  }
}

function createdGuest(name: string): Domain {
  using host = new XenHost();
  return findDomain(host.control, host.store, name);
}
