import { buildProgram } from "../../dom0/build_program.ts";
import type { CpioEntry } from "../../lab/cpio_entry.ts";
import { Lab } from "../../lab/lab.ts";
import type { LabConfig } from "../../lab/lab_config.ts";
import type { LinuxGuest } from "../../lab/linux_guest.ts";
import { buildXkmon } from "../../support/build_xkmon.ts";
import { XKMON } from "../../support/start_lab.ts";
import { attackRamdisk } from "./attack_guest.ts";

/** Paths in Dom0: the guests' kernel, */
export const KERNEL = "/boot/vmlinux";
/** their initramfs, */
export const RAMDISK = "/boot/initrd";
/** and who attacks them. */
export const MUTATE = "/root/mutate";

/**
 * A lab for attacks on guests with one kernel.
 *
 * @param added more files for the guests.
 * @param config what the lab is to be beside that.
 */
export async function attackLab(
  linux: LinuxGuest,
  added: readonly CpioEntry[] = [],
  config: Pick<LabConfig, "emulator" | "bootTimeoutMs"> = {},
): Promise<Lab> {
  return await Lab.start({
    ...config,
    memoryMiB: 3584,
    dom0MemoryMiB: 1792,
    files: [
      { from: await buildXkmon(), to: XKMON, mode: 0o755 },
      {
        from: await buildProgram("tests/linux/attacks/mutate.ts"),
        to: MUTATE,
        mode: 0o755,
      },
      { from: linux.kernel.vmlinux, to: KERNEL },
      { from: await attackRamdisk(linux, added), to: RAMDISK },
    ],
  });
}
