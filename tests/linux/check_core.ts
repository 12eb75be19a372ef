import { residueLines } from "./residue_lines.ts";
import { scanGuest } from "../../detect/scan_guest.ts";
import { trustRegion } from "../../detect/trusted_region.ts";
import { KernelFile } from "../../guestos/kernel_file.ts";
import { imageOfMemory } from "../../guestos/linux/image_of_memory.ts";
import { linux } from "../../guestos/linux/linux.ts";
import { locateKernel } from "../../guestos/linux/locate_kernel.ts";
import { CoreGuest } from "../../xen/core_guest.ts";
import { flipBytes, type Flips } from "./flip_bytes.ts";
import { headerOffsets } from "./header_offsets.ts";
import type { LinuxCore } from "./linux_core.ts";
import { unsettledLines } from "./unsettled_lines.ts";

const PAGE_SIZE = 4096;

/** What a core of a clean guest shows of xkmon. */
export interface CoreCheck extends Flips {
  /** What the guest itself says, and how many of that the profile has not */
  readonly symbols: number;
  readonly unequalSymbols: number;
  /** Sizes and offsets of the headers, and those that the profile has not */
  readonly offsets: number;
  readonly unequalOffsets: readonly string[];
  /** Milliseconds from the open core to symbols and types */
  readonly profileMs: number;
  /** Findings and places that could not be told, of the clean core */
  readonly residue: readonly string[];
  readonly pages: number;
}

/**
 * Checks the profile and the verdict on the core of a clean guest.
 *
 * @param flips How many single bytes of text and read-only data to change, one
 *   at a time, at random
 */
export async function checkCore(
  { version, core, kallsyms, kernel }: LinuxCore,
  flips: number,
): Promise<CoreCheck> {
  using guest = new CoreGuest(core);
  const start = performance.now();
  const fromMemory = imageOfMemory(guest, locateKernel(guest));
  const profileMs = performance.now() - start;
  const symbols = [...fromMemory.symbols];
  const lines = (await Deno.readTextFile(kallsyms)).trimEnd().split("\n")
    .filter((line) => !line.includes("\t"));
  const unequal = lines.filter((line, index) => {
    const symbol = symbols[index];
    return symbol === undefined || line !==
        `${
          symbol.address.toString(16).padStart(16, "0")
        } ${symbol.type} ${symbol.name}`;
  }).length + Math.abs(lines.length - symbols.length);

  const offsets = await headerOffsets(version, kernel.release);
  const { btf } = fromMemory;
  const unequalOffsets = [...offsets].filter(([name, value]) => {
    const [structure = "", member] = name.split(".");
    return value !==
      (member === undefined
        ? btf.sizeOf(structure)
        : btf.member(structure, member)?.offset);
  }).map(([name]) => name);

  const file = new KernelFile(kernel.image, await Deno.readFile(kernel.image));
  const profile = linux.open(file, guest);
  const regions = profile.regions.map((region) => trustRegion(guest, region));
  return {
    symbols: lines.length,
    unequalSymbols: unequal,
    offsets: offsets.size,
    unequalOffsets,
    profileMs,
    residue: [
      ...residueLines(await scanGuest(guest, profile, 0)),
      ...unsettledLines(guest, regions),
    ],
    pages: regions.reduce((sum, { size }) => sum + size / PAGE_SIZE, 0),
    ...flipBytes(guest, profile, regions, flips),
  };
}
