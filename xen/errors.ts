/** Names and meanings of the error numbers that Xen's libraries return. */
const ERRNO: Readonly<Record<number, readonly [string, string]>> = {
  1: ["EPERM", "not permitted"],
  2: ["ENOENT", "no such entry"],
  3: ["ESRCH", "no such domain"],
  5: ["EIO", "input/output error"],
  6: ["ENXIO", "no such device"],
  11: ["EAGAIN", "try again"],
  12: ["ENOMEM", "out of memory"],
  13: ["EACCES", "refused, or made for another Xen release"],
  14: ["EFAULT", "bad address"],
  16: ["EBUSY", "busy"],
  17: ["EEXIST", "exists already"],
  19: ["ENODEV", "no such device"],
  22: ["EINVAL", "invalid"],
  38: ["ENOSYS", "not built into this Xen"],
  61: ["ENODATA", "not initialised"],
  95: ["EOPNOTSUPP", "not supported by this Xen"],
};

/** A Xen library or hypercall that failed. */
export class XenError extends Error {
  override readonly name = "XenError";
  /** `ESRCH` and the like; the number in words where it has no name here */
  readonly code: string;

  /**
   * @param call The C function or hypercall
   * @param errno Its error number
   */
  constructor(readonly call: string, readonly errno: number) {
    const [code, meaning] = ERRNO[errno] ?? [`error ${errno}`, "failed"];
    super(`${call}: ${meaning} (${code})`);
    this.code = code;
  }
}

/** A Xen library that cannot be used on this host. */
export class LibraryError extends Error {
  override readonly name = "LibraryError";
}

/** A domain that does not exist, or not any more. */
export class NoSuchDomainError extends Error {
  override readonly name = "NoSuchDomainError";
}
