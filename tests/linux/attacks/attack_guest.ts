import { cached } from "../../lab/cached.ts";
import { contentKey } from "../../lab/content_key.ts";
import { type CpioEntry, file } from "../../lab/cpio_entry.ts";
import { kernelModules } from "../../lab/kernel_modules.ts";
import type { LinuxGuest } from "../../lab/linux_guest.ts";
import { writeCpio } from "../../lab/write_cpio.ts";
import { LAB_MODULE } from "./lab_module_name.ts";
import { quiet } from "./quiet.ts";

/** Path of the guest's first program, for `rdinit=`. */
export const ATTACK_INIT = "/attacked";

// Before the ordinary start: modules, a probe that the kernel accounts for,
// and a loop that shows what a hooked function and a redirected system call do.
const INIT = `#!/bin/sh
export PATH=/usr/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
for module in /*.ko; do insmod $module; done
mount -t tracefs tracefs /sys/kernel/tracing
cd /sys/kernel/tracing
echo p:lab ${quiet.probed} >kprobe_events
echo 1 >events/kprobes/lab/enable
cd /
while :; do
	sleep 1
	read -r line </proc/cmdline
	if kill -0 1; then
		echo "alive: cmdline: $line"
	else
		echo "gone: cmdline: $line"
	fi
done >/dev/hvc0 2>/dev/null &
exec /init
`;

/**
 * The initramfs of a guest that is to be attacked: that of the lab's Linux
 * guests, and in front of its start what the attacks need.
 *
 * @param added more files, for example of modules that are to be loaded.
 * @returns its path.
 */
export async function attackRamdisk(
  { kernel, ramdisk }: LinuxGuest,
  added: readonly CpioEntry[] = [],
): Promise<string> {
  const [module] = await kernelModules(kernel.modules, [LAB_MODULE]);
  if (module === undefined) throw new Error(`no module ${LAB_MODULE}`);
  const key = await contentKey([
    ramdisk,
    INIT,
    module.data,
    ...added.flatMap(({ path, data }) => [path, data ?? ""]),
  ]);
  return await cached(`attacked-${key}.cpio`, async (path) => {
    await writeCpio(path, [
      file(ATTACK_INIT.slice(1), INIT, 0o755),
      file("module.ko", module.data),
      ...added,
    ]);
    // The kernel takes one archive behind another
    const archive = await Deno.readFile(path);
    await Deno.copyFile(ramdisk, path);
    await Deno.writeFile(path, archive, { append: true });
  });
}
