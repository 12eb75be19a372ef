import { readKernelFile } from "../../guestos/kernel_file.ts";
import type { Profile } from "../../guestos/profile.ts";
import { simpleos } from "../../guestos/simpleos.ts";
import { buildSimpleOS } from "../simpleos/guest.ts";

/** The profile of SimpleOS as it is built on this machine. */
export async function openKernel(): Promise<Profile> {
  const kernel = await readKernelFile(await buildSimpleOS());
  return simpleos.open(kernel);
}
