import type { CodeOwners } from "./code_owners.ts";
import type { LinuxImage } from "./linux_image.ts";

/**
 * An address of code in words: the function and, outside the kernel itself,
 * whose it is.
 */
export function describeCode(
  address: bigint,
  image: LinuxImage,
  owners: CodeOwners,
): string {
  const owner = owners.owner(address);
  if (owner === undefined) {
    const offset = address - image.base;
    return offset >= 0n && offset < image.bytes.length
      ? `${image.describe(address)}, where nobody has code`
      : `0x${address.toString(16)}, which nobody owns`;
  }
  if (owner.kind === "kernel") return image.describe(address);
  const offset = address - owner.start;
  const place = offset === 0n ? "" : `+0x${offset.toString(16)}`;
  return `${owner.kind} ${owner.name}${place}`;
}
