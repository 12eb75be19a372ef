import type { Emulator } from "./emulator.ts";
import type { Machine } from "./machine.ts";

// What is taken from the processor, and why: with smap Dom0 dies at its first
// instructions, with monitor Xen panics in mwait_idle_with_hints, with rdtscp
// PVH guests crash (Xen's emulation of SVM cannot tell its length).
const CPU = "EPYC,-smap,-monitor,-rdtscp";

// eager-fpu is vital: without it programs crash at random under load.
const XEN_OPTIONS = [
  "console=com1",
  "com1=115200,8n1",
  "loglvl=info",
  "guest_loglvl=all",
  "bootscrub=0",
  "spec-ctrl=no,eager-fpu",
  "xpti=no",
  "cpuidle=0",
];

// QEMU splits at commas where this goes: there must be none.
const KERNEL_OPTIONS = [
  "console=hvc0",
  "quiet",
  "nokaslr",
  "mitigations=off",
  "random.trust_cpu=on",
  "rdinit=/init",
  "swiotlb=2048",
  "lsm=",
  "audit=0",
  "cryptomgr.notests",
];

/** QEMU without hardware virtualization: an AMD machine with SVM and NPT. */
export const qemu: Emulator = {
  modules: ["virtio_pci", "9pnet_virtio", "9p"],
  command({ memoryMiB, dom0MemoryMiB, cpus, dom0Cpus }: Machine): string[] {
    const xenOptions = [
      ...XEN_OPTIONS,
      `dom0_mem=${dom0MemoryMiB}M,max:${dom0MemoryMiB}M`,
      `dom0_max_vcpus=${dom0Cpus}`,
    ];
    return [
      "qemu-system-x86_64",
      ...["-accel", "tcg,thread=multi,tb-size=512"],
      ...["-cpu", CPU, "-smp", `${cpus}`, "-m", `${memoryMiB}`],
      // No reboot: the emulator ends when Xen or Dom0 gives up.
      ...["-display", "none", "-vga", "none", "-nodefaults", "-no-reboot"],
      ...["-kernel", "xen", "-append", xenOptions.join(" ")],
      ...["-initrd", `vmlinux ${KERNEL_OPTIONS.join(" ")},dom0.cpio`],
      ...["-serial", "file:console.log"],
      ...["-serial", "unix:agent.sock,server=on,wait=off"],
      ...["-chardev", "socket,id=shell,path=shell.sock,server=on,wait=off"],
      // Xen owns interrupt 4 for its console, which a PC's third port shares.
      ...["-device", "isa-serial,iobase=0x3e8,irq=5,chardev=shell"],
      ...["-fsdev", "local,id=share,path=share,security_model=none"],
      ...["-device", "virtio-9p-pci,fsdev=share,mount_tag=share"],
    ];
  },
};
