import { Emulation } from "../lab/emulation.ts";
import { hostCommand } from "../lab/host_command.ts";
import type { LinuxGuest } from "../lab/linux_guest.ts";
import { guestReport } from "./guest_report.ts";
import { qmp } from "./qmp.ts";
import { waitForReport } from "./wait_for_report.ts";

/** Processors of a {@linkcode bareMachine}. */
const PROCESSORS = {
  amd: "EPYC",
  // With page-table isolation, retpolines and aligned thunks (ITS)
  intel: "Haswell",
} as const;

/** Who makes the processor of a {@linkcode bareMachine}. */
export type Vendor = keyof typeof PROCESSORS;

/** The command that runs the machine of {@linkcode bareCore}. */
export function bareMachine(vendor: Vendor): string[] {
  const append = [
    "console=ttyS0 quiet report=yes",
    // Isolation is for processors that need it; the emulated clock is slow
    ...vendor === "intel" ? ["pti=on", "tsc=reliable"] : [],
  ];
  return [
    "qemu-system-x86_64",
    ...["-accel", "tcg", "-cpu", PROCESSORS[vendor], "-smp", "1", "-m", "256"],
    ...["-display", "none", "-vga", "none", "-nodefaults", "-no-reboot"],
    ...["-kernel", "vmlinuz", "-initrd", "initrd"],
    ...["-append", append.join(" ")],
    ...["-serial", "file:console.log"],
    ...["-qmp", "unix:qmp.sock,server=on,wait=off"],
  ];
}

/**
 * Runs a kernel on a machine without Xen, where its own decompressor moves it
 * to an address of its choice, and writes a core and the report.
 *
 * @param directory where they go; the core's name is `core`.
 */
export async function bareCore(
  { kernel, ramdisk }: Pick<LinuxGuest, "kernel" | "ramdisk">,
  directory: string,
  vendor: Vendor,
): Promise<void> {
  await using machine = await Emulation.start(bareMachine(vendor), {
    "vmlinuz": kernel.image,
    "initrd": ramdisk,
  });
  using connection = await machine.connect("qmp.sock");
  const console = await Promise.race([
    waitForReport(() => machine.console()),
    machine.ended().then((error) => Promise.reject(error)),
  ]);
  await guestReport(console, directory);
  await qmp(connection, "dump-guest-memory", {
    paging: false,
    protocol: "file:core",
  });
  await Deno.copyFile(`${machine.directory}/core`, `${directory}/core`);
  await hostCommand(["fallocate", "--dig-holes", `${directory}/core`]);
}
