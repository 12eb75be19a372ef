import { XenError } from "./errors.ts";

/**
 * What Xen says of a domain, or of something of it, that does not exist, here or
 * at all
 */
const GONE = ["EINVAL", "ENODEV", "ENOENT", "ESRCH", "EOPNOTSUPP"];

/**
 * Undoes something in Xen that may be gone already, and its domain with it.
 *
 * @throws {XenError} If Xen refuses for another reason
 */
export function unlessGone(undo: () => void): void {
  try {
    undo();
  } catch (error) {
    if (!(error instanceof XenError) || !GONE.includes(error.code)) throw error;
  }
}
