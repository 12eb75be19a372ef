import { hostCommand } from "../lab/host_command.ts";
import { Lab } from "../lab/lab.ts";
import type {
  LinuxGuest,
  LinuxGuestConfig,
  LinuxGuestType,
} from "../lab/linux_guest.ts";
import { guestReport } from "./guest_report.ts";
import { waitForReport } from "./wait_for_report.ts";

/** The guest that {@linkcode xenCore} runs, as settings of xl. */
export function xenCoreConfig(
  { config }: LinuxGuest,
  type: LinuxGuestType,
): LinuxGuestConfig {
  return { ...config[type], extra: `${config[type].extra} report=yes` };
}

/**
 * Runs a guest in a lab of its own and writes its core and report.
 *
 * @param directory where they go; the core's name is `core`.
 * @returns the path of the kernel in Dom0, as the toolstack keeps it. (Xenstore
 * has it for a PV guest only.)
 */
export async function xenCore(
  linux: LinuxGuest,
  type: LinuxGuestType,
  directory: string,
): Promise<{ kernelInDom0: string }> {
  const { kernel, ramdisk } = linux;
  const image = `/boot/vmlinuz-${kernel.release}`;
  await using lab = await Lab.start({
    files: [
      { from: kernel.image, to: image },
      { from: ramdisk, to: "/boot/initrd" },
    ],
  });
  const guest = await lab.createGuest({
    ...xenCoreConfig(linux, type),
    name: "linux",
    kernel: image,
    ramdisk: "/boot/initrd",
  });
  await guestReport(
    await waitForReport(() => guest.console()),
    directory,
  );
  const { stdout } = await lab.run(["xl", "list", "--long", guest.name]);
  const kernelInDom0: string = JSON.parse(stdout)[0].config.b_info.kernel;

  // In Dom0's memory, as xl cannot write the guest's pages to the share. Of a
  // PVH guest it tries each frame below 4 GiB, which takes it minutes.
  await lab.run(["xl", "dump-core", guest.name, "/core"], {
    timeoutMs: 900_000,
  });
  await lab.get("/core", `${directory}/core`);
  await hostCommand(["fallocate", "--dig-holes", `${directory}/core`]);
  return { kernelInDom0 };
}
