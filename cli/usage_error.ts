/**
 * Something that the operator can put right. The command line prints the
 * message as its one line and exits with status 2.
 */
export class UsageError extends Error {
  override readonly name = "UsageError";
}
