import type { Machine } from "./machine.ts";

/**
 * A program that can run the lab's machine. Its working directory holds:
 *
 * | name | |
 * |---|---|
 * | `xen`, `vmlinux`, `dom0.cpio` | hypervisor, Dom0's kernel (both ELF) and initramfs |
 * | `share` | directory that Dom0 mounts by 9p under the tag `share` |
 * | `console.log` | to be made: output of the first serial port, Xen's and Dom0's console |
 * | `agent.sock` | to be made: socket of the second serial port, the agent |
 * | `shell.sock` | to be made: socket of a serial port for a person, `/dev/ttyS2` |
 */
export interface Emulator {
  /** Kernel modules that Dom0 needs on this machine. */
  readonly modules: readonly string[];
  /** The command that runs the machine; for x86, without a disk. */
  command(machine: Machine): string[];
}
