/**
 * The lab: a real Xen with a Linux Dom0 in an emulator, for tests and for
 * people (`deno task lab`).
 *
 * @module
 */
export { bochs } from "./bochs.ts";
export type { CommandResult } from "./command_result.ts";
export type { Emulator } from "./emulator.ts";
export { fetchKernel, type Kernel } from "./fetch_kernel.ts";
export { grubImage } from "./grub_image.ts";
export type { Guest } from "./guest.ts";
export type { GuestConfig } from "./guest_config.ts";
export type { Job, JobStream } from "./job.ts";
export { Lab, type RunOptions } from "./lab.ts";
export type { LabConfig, LabFile } from "./lab_config.ts";
export {
  type LinuxGuest,
  linuxGuest,
  type LinuxGuestConfig,
  type LinuxGuestType,
} from "./linux_guest.ts";
export {
  LINUX_KERNELS,
  type LinuxGuestSettings,
  type LinuxKernelSource,
  type LinuxVersion,
} from "./linux_kernels.ts";
export type { Machine } from "./machine.ts";
export { qemu } from "./qemu.ts";
