import { readKernelFile } from "../guestos/kernel_file.ts";
import { findDomain } from "../xen/domains.ts";
import { XenHost } from "../xen/host.ts";
import { createPaused, destroyGuest, readGuestConfig } from "../xen/xl.ts";
import { checkDigest } from "./load_profile.ts";
import { monitor } from "./monitor.ts";
import type { Options } from "./options.ts";
import { StopSignals } from "./stop_signals.ts";
import { UsageError } from "./usage_error.ts";

/**
 * Checks the kernel file of an xl configuration, creates the guest paused,
 * arms, and lets it run: no instruction runs unwatched.
 */
export async function start(options: Options, file: string): Promise<number> {
  const config = await readGuestConfig(file);
  if (config.type !== "pv") {
    throw new UsageError(
      `${file} is of a guest of type ${config.type}: xkmon guards PV guests ` +
        'so far (type = "pv")',
    );
  }
  if (config.kernel === undefined) {
    throw new UsageError(
      `${file} names no kernel file: xkmon start is for guests that Xen boots ` +
        "directly (kernel = ...)",
    );
  }
  const kernel = await readKernelFile(config.kernel);
  // Refuses a wrong digest before anything starts
  await checkDigest(kernel, options.digests);
  using stop = new StopSignals();
  await createPaused(file);
  // From here on by its id: a name may be a number, and may change
  const id = createdGuest(config.name);
  let armed = false;
  try {
    return await monitor(
      options,
      (host) => findDomain(host.control, host.store, config.name),
      stop,
      (host) => {
        host.control.unpause(id);
        armed = true;
      },
    );
  } finally {
    // What was never armed never ran: nothing is lost, nothing stays paused
    if (!armed) await destroyGuest(String(id));
  }
}

function createdGuest(name: string): number {
  using host = new XenHost();
  return findDomain(host.control, host.store, name).id;
}
