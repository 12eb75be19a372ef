/** A guest has nothing that the attack could be made on; the message says why. */
export class NotApplicableError extends Error {
  override readonly name = "NotApplicableError";
}
