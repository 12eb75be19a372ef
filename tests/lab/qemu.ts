import { DOM0_KERNEL_OPTIONS } from "./dom0_kernel_options.ts";
import type { Emulator } from "./emulator.ts";
import type { LabImages } from "./lab_images.ts";
import type { Machine } from "./machine.ts";
import { xenOptions } from "./xen_options.ts";

// What is taken from the processor, and why: with smap Dom0 dies at its first
// instructions, with monitor Xen panics in mwait_idle_with_hints, with rdtscp
// PVH guests crash (Xen's emulation of SVM cannot tell its length).
const CPU = "EPYC,-smap,-monitor,-rdtscp";

/** QEMU without hardware virtualization: an AMD machine with SVM and NPT. */
export const qemu: Emulator = {
  modules: ["virtio_pci", "9pnet_virtio", "9p"],
  mountShare:
    "mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144 share /share",
  files({ xen, kernel, initramfs }: LabImages) {
    return Promise.resolve({
      "xen": xen,
      "vmlinux": kernel,
      "dom0.cpio": initramfs,
    });
  },
  command(machine: Machine): string[] {
    const { memoryMiB, cpus } = machine;
    // eager-fpu is vital: without it programs crash at random under load.
    const options = [
      ...xenOptions(machine),
      "com1=115200,8n1",
      "spec-ctrl=no,eager-fpu",
    ];
    return [
      "qemu-system-x86_64",
      ...["-accel", "tcg,thread=multi,tb-size=512"],
      ...["-cpu", CPU, "-smp", `${cpus}`, "-m", `${memoryMiB}`],
      // No reboot: the emulator ends when Xen or Dom0 gives up.
      ...["-display", "none", "-vga", "none", "-nodefaults", "-no-reboot"],
      ...["-kernel", "xen", "-append", options.join(" ")],
      // QEMU splits at commas here: there must be none in the command line.
      ...["-initrd", `vmlinux ${DOM0_KERNEL_OPTIONS.join(" ")},dom0.cpio`],
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
