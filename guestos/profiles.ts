import type { KernelFile } from "./kernel_file.ts";
import { linux } from "./linux/linux.ts";
import type { ProfileModule } from "./profile.ts";
import { simpleos } from "./simpleos.ts";
import { XenNote } from "./xen_note.ts";

/** The kinds of guest system that xkmon knows. */
export const profileModules: readonly ProfileModule[] = [linux, simpleos];

/**
 * The kind of guest system that a kernel is of.
 *
 * @param kernel The kernel file; without one it is taken for Linux
 * @param name Which one to take whatever the file says; without it the file's
 *   ELF notes choose
 * @throws {RangeError} If none has the name or none recognises the file
 */
export function chooseProfile(
  kernel: KernelFile | undefined,
  name?: string,
): ProfileModule {
  const known = profileModules.map(({ name }) => name).join(", ");
  if (name !== undefined) {
    const named = profileModules.find((module) => module.name === name);
    if (named !== undefined) return named;
    throw new RangeError(`No profile is called "${name}"; known: ${known}`);
  }
  if (kernel === undefined) return linux;
  const recognised = profileModules.find((module) => module.recognises(kernel));
  if (recognised !== undefined) return recognised;
  const os = kernel.xenNote(XenNote.GUEST_OS);
  const told = typeof os === "string"
    ? `guest OS "${os}"`
    : "it has no note of its guest OS";
  throw new RangeError(
    `No profile fits ${kernel.path} (${told}); known: ${known}`,
  );
}
