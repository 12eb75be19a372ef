import type { Emulator } from "./emulator.ts";
import { qemu } from "./qemu.ts";

/** What a lab is to be. Everything has a default. */
export interface LabConfig {
  /** Release of Xen: `LAB_XEN` in the environment, or `"4.17"`. */
  xen?: string;
  /** Debian package of Dom0's kernel: `"linux-image-amd64"`. */
  dom0Kernel?: string;
  /** Files of the host to {@linkcode Lab.put} at start. */
  files?: readonly LabFile[];
  /** The emulator: {@linkcode qemu}. */
  emulator?: Emulator;
  /** The machine's memory in MiB: 2560. */
  memoryMiB?: number;
  /** Dom0's memory in MiB: 1024. */
  dom0MemoryMiB?: number;
  /** Physical CPUs: 1. */
  cpus?: number;
  /** Dom0's virtual CPUs: 1. */
  dom0Cpus?: number;
  /** Limit in milliseconds from power on to the first command: 120 s. */
  bootTimeoutMs?: number;
}

/** A file of the host and its place in Dom0. */
export interface LabFile {
  /** Path on the host. */
  from: string;
  /** Path in Dom0. */
  to: string;
  /** Permission bits in Dom0, those of the host's file if not given. */
  mode?: number;
}

/** Fills the gaps of a configuration with the defaults. */
export function completeConfig(config: LabConfig): Required<LabConfig> {
  const given = Object.entries(config).filter(([, value]) =>
    value !== undefined
  );
  return {
    xen: Deno.env.get("LAB_XEN") ?? "4.17",
    dom0Kernel: "linux-image-amd64",
    files: [],
    emulator: qemu,
    memoryMiB: 2560,
    dom0MemoryMiB: 1024,
    cpus: 1,
    dom0Cpus: 1,
    bootTimeoutMs: 120_000,
    ...Object.fromEntries(given),
  };
}
