import type { Target } from "./target.ts";

/** Address of a constant pointer: what reads `/dev/kmsg`, which nobody does. */
export function readOperation(target: Target): bigint {
  const member = target.image.btf.member("file_operations", "read");
  if (member === undefined) throw new TypeError("no struct file_operations");
  return target.address("kmsg_fops") + BigInt(member.offset);
}
