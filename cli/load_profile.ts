import { DigestStore } from "../guestos/digest_store.ts";
import { type KernelFile, readKernelFile } from "../guestos/kernel_file.ts";
import type { Profile } from "../guestos/profile.ts";
import { chooseProfile } from "../guestos/profiles.ts";
import type { Domain } from "../xen/domains.ts";
import { assertPv } from "../xen/pv_guest.ts";
import { recordedKernel } from "../xen/recorded_kernel.ts";
import type { XenStore } from "../xen/store.ts";
import type { Options } from "./options.ts";
import { UsageError } from "./usage_error.ts";

/** The profile of one guest's kernel, and what is known of its file. */
export interface LoadedProfile {
  readonly profile: Profile;
  readonly kernel: KernelFile;
  /** What an operator must know of it, in words */
  readonly notices: readonly string[];
}

/**
 * Checks a kernel file against its kept digest.
 *
 * @returns What an operator must know, in words
 * @throws {UsageError} If it is not what was enrolled
 */
export async function checkDigest(
  kernel: KernelFile,
  digests: string,
): Promise<string> {
  const { state, entry } = (await DigestStore.open(digests)).check(kernel);
  const sha256 = `SHA-256 ${kernel.sha256}`;
  if (state === "enrolled") {
    return `kernel file ${kernel.path} is as enrolled on ${entry!.enrolled} ` +
      `(${sha256})`;
  }
  if (state === "unknown") {
    return `kernel file ${kernel.path} is not enrolled (${sha256}); to keep ` +
      `its digest: xkmon enroll ${kernel.path}`;
  }
  throw new UsageError(
    `${kernel.path} is not the kernel file that was enrolled on ` +
      `${entry!.enrolled}: its SHA-256 is ${kernel.sha256}, not ` +
      `${entry!.sha256}. Restore the file, or enroll it if the change is yours`,
  );
}

/**
 * Finds and checks the kernel file of a guest and opens its profile.
 *
 * @throws {RangeError} If the guest is of a type that cannot be guarded
 * @throws {UsageError} If no kernel file is known or it is not as enrolled
 */
export async function loadProfile(
  store: XenStore,
  domain: Domain,
  options: Options,
): Promise<LoadedProfile> {
  assertPv(domain);
  const path = options.kernel ?? recordedKernel(store, domain.id);
  if (path === undefined) {
    throw new UsageError(
      `No kernel file is recorded for ${domain.name}: name it with --kernel FILE`,
    );
  }
  const kernel = await readKernelFile(path);
  const notices = [await checkDigest(kernel, options.digests)];
  const profile = chooseProfile(kernel, options.profile).open(kernel);
  if (!options.firstReading) return { profile, kernel, notices };
  notices.push(
    "the first reading of the guest's memory is trusted: what was changed " +
      "before is not found",
  );
  const regions = profile.regions.map(({ trusted: _, ...region }) => region);
  return { profile: { ...profile, regions }, kernel, notices };
}
