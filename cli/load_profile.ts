import { isBootLoader } from "../guestos/boot_loader.ts";
import { DigestStore } from "../guestos/digest_store.ts";
import { KernelFile } from "../guestos/kernel_file.ts";
import type { KernelMemory } from "../guestos/memory.ts";
import { ModuleDirectory } from "../guestos/module_directory.ts";
import type { Profile, ProfileHints } from "../guestos/profile.ts";
import { chooseProfile } from "../guestos/profiles.ts";
import { readBoundedFile } from "../guestos/read_bounded_file.ts";
import { sha256 } from "../guestos/sha256.ts";
import type { Options } from "./options.ts";
import { UsageError } from "./usage_error.ts";

/** What the operator and the toolstack know of a guest's kernel. */
export interface LoadedKernel {
  readonly kernel: KernelFile | undefined;
  /** Why there is no kernel file, in words */
  readonly lack?: string;
  readonly hints: ProfileHints;
  /** What an operator must know of it, in words */
  readonly notices: readonly string[];
}

/** The profile of one guest's kernel. */
export interface LoadedProfile {
  readonly profile: Profile;
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
  kernel: Pick<KernelFile, "path" | "sha256">,
  digests: string,
): Promise<string> {
  const { state, entry } = (await DigestStore.open(digests)).check(kernel);
  const digest = `SHA-256 ${kernel.sha256}`;
  if (state === "enrolled") {
    return `kernel file ${kernel.path} is as enrolled on ${entry!.enrolled} ` +
      `(${digest})`;
  }
  if (state === "unknown") {
    return `kernel file ${kernel.path} is not enrolled (${digest}); to keep ` +
      `its digest: xkmon enroll ${kernel.path}`;
  }
  throw new UsageError(
    `${kernel.path} is not the kernel file that was enrolled on ` +
      `${entry!.enrolled}: its SHA-256 is ${kernel.sha256}, not ` +
      `${entry!.sha256}. Restore the file, or enroll it if the change is yours`,
  );
}

/**
 * Reads and checks the kernel file of a guest, and what else helps.
 *
 * @param recorded Finds the file that the toolstack recorded, which may be a
 *   boot loader. It is not asked if the operator names one, which must be a
 *   kernel
 * @throws {UsageError} If it is not as enrolled, or `--modules` has none
 * @throws {SyntaxError} If it is neither
 */
export async function loadKernel(
  recorded: () => Promise<string | undefined>,
  options: Options,
): Promise<LoadedKernel> {
  const { savedProfile, modules } = options;
  const hints: ProfileHints = {
    ...(savedProfile === undefined
      ? {}
      : { saved: await Deno.readFile(savedProfile) }),
    ...(modules === undefined ? {} : { modules: moduleFiles(modules) }),
  };
  const path = options.kernel ?? await recorded();
  if (path === undefined) {
    const lack = "no kernel file is known";
    return { kernel: undefined, lack, hints, notices: [] };
  }
  const bytes = await readBoundedFile(path);
  const file = await Deno.realPath(path);
  if (options.kernel === undefined && isBootLoader(bytes)) {
    const loader = { path: file, sha256: sha256(bytes) };
    return {
      kernel: undefined,
      lack: `${file}, which xl booted, is a boot loader and not the kernel`,
      hints,
      notices: [await checkDigest(loader, options.digests)],
    };
  }
  const kernel = new KernelFile(file, bytes);
  const notices = [await checkDigest(kernel, options.digests)];
  return { kernel, hints, notices };
}

function moduleFiles(path: string): ModuleDirectory {
  try {
    return new ModuleDirectory(path);
  } catch (error) {
    const isOperators = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory || error instanceof RangeError;
    if (!isOperators) throw error;
    throw new UsageError(
      error instanceof RangeError
        ? error.message
        : `--modules takes a directory, and ${path} is none`,
    );
  }
}

/**
 * Opens the profile of a guest's kernel.
 *
 * @param loaded What is known of it
 * @param memory The guest's memory
 * @throws {ProfileError} If the guest's memory does not tell what is needed
 * @throws {RangeError} If no profile fits
 */
export function openProfile(
  { kernel, lack, hints }: LoadedKernel,
  memory: KernelMemory,
  options: Options,
): LoadedProfile {
  const profile = chooseProfile(kernel, options.profile)
    .open(kernel, memory, hints);
  const notices = [
    ...profile.notes,
    ...(lack === undefined ? [] : [
      `${lack}: the first reading of text and data is trusted where the ` +
      "kernel's own tables do not contradict it; name the kernel's file with " +
      "--kernel FILE",
    ]),
  ];
  if (!options.firstReading) return { profile, notices };
  const regions = profile.regions.map(({ trusted: _, ...region }) => region);
  return {
    profile: { ...profile, regions },
    notices: [
      ...notices,
      "the first reading of the guest's memory is trusted: what was changed " +
      "before is not found",
    ],
  };
}
