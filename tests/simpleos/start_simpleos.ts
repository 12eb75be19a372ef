import type { GuestConfig, Lab } from "../lab/mod.ts";
import { buildSimpleOS } from "./build_simpleos.ts";
import { SimpleOS } from "./simpleos.ts";

/** How Xen runs it; its kernel file is the same for both. */
export type SimpleOSType = "pv" | "pvh";

/** What {@linkcode startSimpleOS} can be told. */
export interface StartOptions {
  /** How Xen runs it: `"pv"`. */
  type?: SimpleOSType;
  /** The guest's name: `"simpleos"`. */
  name?: string;
  /** Its memory in MiB: 32. */
  memoryMiB?: number;
  /** Memory that Xen may use for it, in MiB: what xl thinks fit. */
  shadowMiB?: number;
  /** Leaves it paused before its first instruction: no. */
  paused?: boolean;
}

/** Where the kernel lies in Dom0. */
const DOM0_KERNEL = "/root/simpleos.elf";

/**
 * Builds SimpleOS if need be, starts it in the lab by `xl create`, and waits
 * until it says that it runs, unless it is to be paused.
 *
 * @throws {Deno.errors.TimedOut} with the end of its console, if it does not.
 */
export async function startSimpleOS(
  lab: Lab,
  { type = "pv", name = "simpleos", memoryMiB = 32, paused = false, shadowMiB }:
    StartOptions = {},
): Promise<SimpleOS> {
  await lab.put(await buildSimpleOS(), DOM0_KERNEL, 0o644);
  const config: GuestConfig = {
    name,
    type,
    kernel: DOM0_KERNEL,
    memory: memoryMiB,
    ...(shadowMiB === undefined ? {} : { shadow_memory: shadowMiB }),
    vcpus: 1,
    on_poweroff: "destroy",
    on_reboot: "restart",
    on_crash: "destroy",
  };
  const guest = await lab.createGuest(config, { paused });
  if (!paused) await guest.waitForConsole(/state: running/, 30_000);
  return new SimpleOS(lab, guest);
}
