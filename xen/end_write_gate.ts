import { XenError } from "./errors.ts";
import type { XenHost } from "./host.ts";

/**
 * Undoes a write gate, of a process that has died too: every page of it is
 * writable again, and who waits goes on.
 *
 * @param domain Domain id
 * @param server Id of its ioreq server
 * @throws {XenError} If Xen refuses
 */
export function endWriteGate(
  { deviceModel }: XenHost,
  domain: number,
  server: number,
): void {
  for (
    const undo of [
      () => deviceModel.claimGated(domain, server, false),
      () => deviceModel.destroyServer(domain, server),
    ]
  ) {
    try {
      undo();
    } catch (error) {
      // Not claimed yet, no server any more, or no domain
      const isGone = error instanceof XenError &&
        ["ENOENT", "ESRCH", "EINVAL"].includes(error.code);
      if (!isGone) throw error;
    }
  }
}
