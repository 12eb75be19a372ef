import type { Emulator } from "../../lab/emulator.ts";
import type { Guest } from "../../lab/guest.ts";
import { Lab } from "../../lab/lab.ts";
import type { LinuxGuestType } from "../../lab/linux_guest.ts";
import type { LinuxVersion } from "../../lab/linux_kernels.ts";
import { buildXkmon } from "../../support/build_xkmon.ts";
import { XKMON } from "../../support/start_lab.ts";
import { NoiseGuard } from "./noise_guard.ts";
import { noiseGuest } from "./noise_guest.ts";
import { missingNoise, type NoiseKind } from "./noise_kinds.ts";
import type { NoiseResult } from "./noise_result.ts";
import { readCounts } from "./read_counts.ts";

/** From one look at the guest to the next, ms */
const LOOK_EVERY = 5_000;
/** A guest that counts nothing for so long stands still, ms */
const STANDSTILL = 300_000;
/** Limits, ms: kernels are slow under an emulator, under noise above all */
const BOOT_LIMIT = 600_000;
const END_LIMIT = 300_000;
/** How much longer it goes on at most until all kinds of noise were there, ms */
const MORE = 300_000;
/** How long the guest is watched when the noise is over, ms */
const SILENCE = 15_000;

/** Where the initramfs is unpacked in Dom0, for the files of modules in it */
const RAMDISK = "/root/ramdisk";

/** What noise there is to be. */
export interface NoiseOptions {
  readonly version: LinuxVersion;
  readonly type: LinuxGuestType;
  readonly kinds: readonly NoiseKind[];
  /** At least; it goes on until there was every kind, if that is not long. */
  readonly minutes: number;
  /** Processors of the guest. */
  readonly vcpus: number;
  /** Whether all but one of them are started by the noise. */
  readonly lateCpus: boolean;
  /** Whether there is noise already when xkmon arms. */
  readonly early: boolean;
  /** Whether xkmon stays away. */
  readonly alone: boolean;
  /** Physical processors. */
  readonly cpus: number;
  readonly emulator?: Emulator;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Whether a guest is neither shut down nor crashed nor gone. */
async function isUp(guest: Guest): Promise<boolean> {
  const state = await guest.state();
  return state !== undefined && !/[scd]/.test(state);
}

/**
 * Runs a guest that makes noise in a lab of its own, and xkmon that guards it.
 *
 * @param tell is told of each step and of the counts.
 */
export async function runNoise(
  options: NoiseOptions,
  tell: (text: string) => void = () => {},
): Promise<NoiseResult> {
  const { kernel, ramdisk, config } = await noiseGuest(options.version);
  await using lab = await Lab.start({
    cpus: options.cpus,
    emulator: options.emulator,
    bootTimeoutMs: BOOT_LIMIT,
    memoryMiB: 3584,
    dom0MemoryMiB: 1792,
    files: [
      { from: await buildXkmon(), to: XKMON, mode: 0o755 },
      // Bochs takes minutes to unpack the image
      { from: kernel.vmlinux, to: "/boot/vmlinuz" },
      { from: ramdisk, to: "/boot/initrd" },
    ],
  });
  await lab.run(`mkdir ${RAMDISK}; cd ${RAMDISK}; cpio -id </boot/initrd`);
  const settings = config[options.type];
  const guest = await lab.createGuest({
    ...settings,
    name: "noise",
    kernel: "/boot/vmlinuz",
    ramdisk: "/boot/initrd",
    memory: 448,
    vcpus: options.vcpus,
    extra: `${settings.extra}${options.lateCpus ? " maxcpus=1" : ""}`,
  });
  await guest.waitForConsole(/guest ready/, BOOT_LIMIT);
  tell("the guest is up");
  const begin = async () => {
    await guest.type(`begin ${options.kinds.join(" ")}`);
    await guest.waitForConsole(/noise begins/, BOOT_LIMIT);
    tell("the noise begins");
  };

  if (options.early) await begin();
  await using guard = options.alone
    ? undefined
    : await NoiseGuard.start(lab, guest.name, `${RAMDISK}/lib/modules`);
  if (guard !== undefined) {
    tell(`xkmon is armed after ${Math.round(guard.armSeconds)} s`);
  }
  if (!options.early) await begin();

  const start = Date.now();
  const end = start + options.minutes * 60_000;
  let failure: string | undefined;
  let told = "";
  let changed = start;
  let isAll = false;
  while (
    failure === undefined &&
    (Date.now() < end || !isAll && Date.now() < end + MORE)
  ) {
    await sleep(LOOK_EVERY);
    const counts = readCounts(await guest.console());
    isAll = missingNoise(options.kinds, counts).length === 0;
    const text = [...counts].join(" ");
    if (text !== told) changed = Date.now();
    told = text;
    tell(text);
    if (guard?.hasEnded) failure = "xkmon ended by itself";
    else if (!await isUp(guest)) failure = "the guest is down";
    else if (Date.now() - changed > STANDSTILL) failure = "the guest is stuck";
  }
  const seconds = (Date.now() - start) / 1000;
  if (failure === undefined) {
    try {
      await guest.type("end");
      await guest.waitForConsole(/noise ends/, END_LIMIT);
      tell("the noise ends");
      await sleep(SILENCE);
    } catch (error) {
      failure = (error as Error).message;
    }
  }
  const guardResult = await guard?.end();
  const console = (await guest.console()).replaceAll("\r", "");
  return {
    release: kernel.release,
    seconds,
    guard: guardResult,
    counts: readCounts(console),
    complaints: [...console.matchAll(/^noise (?:error|kernel) .*$/gm)].map((
      [line],
    ) => line),
    failure,
    console,
    xen: (await lab.logs()).get("xen")!,
  };
}
