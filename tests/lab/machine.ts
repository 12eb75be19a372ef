/** The size of the machine that an {@linkcode Emulator} is to run. */
export interface Machine {
  /** The machine's memory, in MiB. */
  memoryMiB: number;
  /** What of it Dom0 gets, in MiB. */
  dom0MemoryMiB: number;
  /** Physical CPUs. */
  cpus: number;
  /** Virtual CPUs of Dom0. */
  dom0Cpus: number;
}
