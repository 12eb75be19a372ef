/**
 * What one pass over a Linux guest costs, `deno task bench-linux`: on a core in
 * place of the guest, so that memory is the only thing between the rules and a
 * plain comparison. Prints a table in Markdown.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { contentDetectors, stateDetectors } from "../../detect/detectors.ts";
import { elfHash } from "../../detect/elf_hash.ts";
import { KernelMapping } from "../../detect/kernel_mapping.ts";
import { look } from "../../detect/look.ts";
import { trustRegion } from "../../detect/trusted_region.ts";
import { KernelFile } from "../../guestos/kernel_file.ts";
import { linux } from "../../guestos/linux/linux.ts";
import { CoreGuest } from "../../xen/core_guest.ts";
import { linuxCore } from "../linux/linux_core.ts";

const MIB = 2 ** 20;
const PAGE_SIZE = 4096;
const WARM_UP = 10;
const ROUNDS = 100;
const FEW_ROUNDS = 5;

/** Median of the milliseconds that something takes. */
function median(rounds: number, run: () => void): number {
  for (let round = 0; round < Math.min(rounds, WARM_UP); round++) run();
  const times = Array.from({ length: rounds }, () => {
    const start = performance.now();
    run();
    return performance.now() - start;
  });
  return times.sort((a, b) => a - b)[rounds >>> 1]!;
}

const { core, kernel } = await linuxCore("6.1", "pv");
using guest = new CoreGuest(core);
const file = new KernelFile(kernel.image, await Deno.readFile(kernel.image));
const openMs = median(FEW_ROUNDS, () => linux.open(file, guest));
const profile = linux.open(file, guest);
const regions = profile.regions.map((region) => trustRegion(guest, region));
const contents = contentDetectors(guest, profile, regions);
const all = [
  ...contents,
  new KernelMapping(guest, profile.symbols, regions),
  ...stateDetectors(guest, guest, profile, false),
];
const size = regions.reduce((sum, region) => sum + region.size, 0) / MIB;
const bytes = regions.map(({ start, size }) => guest.read(start, size));

const compare = median(ROUNDS, () => {
  for (const { start, trusted } of regions) guest.compare(start, trusted);
});
const rules = median(ROUNDS, () => {
  profile.refresh?.();
  look(guest, contents, profile.symbols, false);
});
const pass = median(ROUNDS, () => {
  profile.refresh?.();
  look(guest, all, profile.symbols, false);
});
const hashPages = (hash: (page: Uint8Array) => unknown) =>
  median(FEW_ROUNDS, () => {
    for (const region of bytes) {
      for (let at = 0; at < region.length; at += PAGE_SIZE) {
        hash(region.subarray(at, at + PAGE_SIZE));
      }
    }
  });
const elf = hashPages(elfHash);
const sha = hashPages((page) => createHash("sha256").update(page).digest());

const per20 = (milliseconds: number) => milliseconds * 20 / size;
const row = (what: string, milliseconds: number) =>
  console.log(
    `| ${what} | ${per20(milliseconds).toFixed(2)} | ${
      (compare / milliseconds).toFixed(2)
    } |`,
  );
console.log("| on Linux 6.1 | ms for 20 MiB | speed beside memcmp |");
console.log("| - | -: | -: |");
row("memcmp with the trusted copy", compare);
row("rules on text and data, with the places that may change", rules);
row("whole pass: page tables, modules, executable memory as well", pass);
row("SHA-256 of each page", sha);
row("ELFHash of each page", elf);
console.log(
  `\n${size.toFixed(1)} MiB are compared; the profile is made in ${
    Math.round(openMs)
  } ms.`,
);
