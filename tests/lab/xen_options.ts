import type { Machine } from "./machine.ts";

/** Xen's options that every emulated machine needs. */
export function xenOptions({ dom0MemoryMiB, dom0Cpus }: Machine): string[] {
  return [
    "console=com1",
    "loglvl=info",
    "guest_loglvl=all",
    "bootscrub=0",
    "xpti=no",
    "cpuidle=0",
    `dom0_mem=${dom0MemoryMiB}M,max:${dom0MemoryMiB}M`,
    `dom0_max_vcpus=${dom0Cpus}`,
  ];
}
