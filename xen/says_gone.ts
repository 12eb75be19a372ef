import { NoSuchDomainError, XenError } from "./errors.ts";

/** Whether an error says that the domain does not exist any more. */
export function saysGone(error: unknown): boolean {
  return error instanceof NoSuchDomainError ||
    error instanceof XenError && error.code === "ESRCH";
}
