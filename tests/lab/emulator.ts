import type { LabImages } from "./lab_images.ts";
import type { Machine } from "./machine.ts";

/**
 * A program that can run the lab's machine. In its working directory it makes:
 *
 * | name | |
 * |---|---|
 * | `console.log` | output of the first serial port, Xen's and Dom0's console |
 * | `agent.sock` | socket of the second serial port, the agent |
 * | `shell.sock` | socket of a serial port for a person, `/dev/ttyS2` |
 *
 * The directory `share` in it is what Dom0 mounts by 9p.
 */
export interface Emulator {
  /** Kernel modules that Dom0 needs on this machine. */
  readonly modules: readonly string[];
  /** Commands for Dom0's shell that mount the share at `/share`. */
  readonly mountShare: string;
  /**
   * Makes what the working directory holds at start, as far as the cache does
   * not hold it.
   *
   * @returns paths by their names there.
   */
  files(images: LabImages, machine: Machine): Promise<Record<string, string>>;
  /** The command that runs the machine. */
  command(machine: Machine): string[];
}
