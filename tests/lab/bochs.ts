import { bootDisc } from "./boot_disc.ts";
import { buildBochs } from "./build_bochs.ts";
import { DOM0_KERNEL_OPTIONS } from "./dom0_kernel_options.ts";
import type { Emulator } from "./emulator.ts";
import { fetchPackages } from "./fetch_packages.ts";
import type { LabImages } from "./lab_images.ts";
import type { Machine } from "./machine.ts";
import { xenOptions } from "./xen_options.ts";

/** Where the machine's own network has the host, and the share's server. */
const SHARE = { address: "10.0.2.2", port: 564, path: "/proc/self/cwd/share" };

/** TCP ports in the machine's own network that stand for its serial ports. */
const LINES = { agent: 8002, shell: 8003 };

// Process 1 of a space of process ids: when it ends, so does all that it
// started. Its network is its own too, so that the ports are free in every lab
// and no one else can reach the share or the lines. Bochs must outlive who
// listens to a line.
const SCRIPT = `set -e
busybox ip link set lo up
diod --foreground --no-auth --no-userdb --config-file /dev/null \\
  --listen 127.0.0.1:${SHARE.port} --export ${SHARE.path} --logdest stderr &
${
  Object.entries(LINES).map(([name, port]) =>
    `socat TCP:127.0.0.1:${port},forever,interval=0.02 UNIX-LISTEN:${name}.sock &`
  ).join("\n")
}
trap '' PIPE
./bochs "$@"`;

/** A serial port that waits until a received byte was taken, as `term` does not. */
function line(name: keyof typeof LINES): string {
  return `mode=socket-server, dev=127.0.0.1:${LINES[name]}`;
}

/** Bochs: an Intel machine with VMX and EPT. */
export const bochs: Emulator = {
  modules: ["e1000", "9pnet_fd", "9p"],
  mountShare: `ip address add 10.0.2.15/24 dev eth0
ip link set eth0 up
mount -t 9p -o ${[
    "trans=tcp",
    `port=${SHARE.port}`,
    `aname=${SHARE.path}`,
    "uname=root",
    "dfltuid=0",
    "version=9p2000.L",
    "msize=262144",
  ]} ${SHARE.address} /share`,
  async files(images: LabImages, machine: Machine) {
    const firmware = await fetchPackages(
      "bochs-firmware",
      ["bochsbios", "vgabios"],
      "trixie",
    );
    return {
      "bochs": await buildBochs(),
      "bios": `${firmware}/usr/share/bochs/BIOS-bochs-latest`,
      "vgabios": `${firmware}/usr/share/vgabios/vgabios.bin`,
      "boot.iso": await bootDisc(images, {
        xen: [
          ...xenOptions(machine),
          // Polled: interrupt 4 is for the third port, which shares it.
          "com1=115200,8n1,0x3f8,0",
          "spec-ctrl=no",
          // The firmware has no code for it to call.
          "no-real-mode",
          "clocksource=acpi",
          "hpet=disable",
          "altp2m=1",
          // Bochs takes this for the end.
          "reboot=triple",
        ],
        kernel: DOM0_KERNEL_OPTIONS,
      }),
    };
  },
  command({ memoryMiB, cpus }: Machine): string[] {
    if (cpus !== 1) throw new RangeError("the lab's Bochs has one processor");
    return [
      "unshare",
      ...["--net", "--pid", "--fork", "--kill-child"],
      ...["sh", "-c", SCRIPT, "bochs"],
      ...["-q", "-f", "/dev/null"],
      "display_library: nogui",
      "cpu: model=corei7_haswell_4770, ips=100000000, " +
      "reset_on_triple_fault=0, ignore_bad_msrs=1",
      // What is beyond its limit Bochs keeps in a file.
      `memory: guest=${memoryMiB}, host=${Math.min(memoryMiB, 2048)}`,
      "clock: sync=none, time0=utc",
      "pci: enabled=1, chipset=i440fx, slot1=e1000",
      "romimage: file=bios, options=fastboot",
      "vgaromimage: file=vgabios",
      "ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14",
      "ata0-master: type=cdrom, path=boot.iso, status=inserted",
      "boot: cdrom",
      "com1: enabled=1, mode=file, dev=console.log",
      `com2: enabled=1, ${line("agent")}`,
      `com3: enabled=1, ${line("shell")}`,
      "e1000: card=0, enabled=1, mac=52:54:00:12:34:56, ethmod=slirp",
      "panic: action=fatal",
      "error: action=ignore",
      "info: action=ignore",
    ];
  },
};
