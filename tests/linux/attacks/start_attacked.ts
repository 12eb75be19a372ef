import type { Guest, Lab, LinuxGuest, LinuxGuestType } from "../../lab/mod.ts";
import { ATTACK_INIT } from "./attack_guest.ts";
import { KERNEL, RAMDISK } from "./attack_lab.ts";

/** In the emulator all takes its time, ms. */
const LIMIT = 600_000;

/**
 * Starts a Linux guest that is to be attacked, and waits until it is up.
 *
 * @param lab of `attackLab`, with the same kernel.
 */
export async function startAttacked(
  lab: Lab,
  { config }: LinuxGuest,
  type: LinuxGuestType,
): Promise<Guest> {
  const settings = config[type];
  const guest = await lab.createGuest({
    ...settings,
    extra: `${settings.extra} rdinit=${ATTACK_INIT}`,
    name: `linux-${type}`,
    kernel: KERNEL,
    ramdisk: RAMDISK,
  });
  await guest.waitForConsole(/guest ready/, LIMIT);
  await guest.waitForConsole(/cmdline: /, LIMIT);
  return guest;
}
