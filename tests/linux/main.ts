/**
 * Makes the cores of all kernels that the cache does not hold yet
 * (`deno task cores`), and says of each its size and how long it took.
 *
 * @module
 */
import type { LinuxVersion } from "../lab/linux_kernels.ts";
import { type LinuxBoot, linuxCore } from "./linux_core.ts";

/** All cores; those that most depends on come first. */
const CORES: readonly (readonly [LinuxVersion, LinuxBoot])[] = [
  ["6.1", "pv"],
  ["6.1", "pvh"],
  ["6.1", "kaslr"],
  ["6.12", "pv"],
  ["6.12", "kaslr"],
  ["5.10", "pv"],
  ["5.10", "kaslr"],
  ["7.2", "kaslr"],
  ["6.12", "pvh"],
  ["5.10", "pvh"],
  ["7.2", "pv"],
  ["7.2", "pvh"],
  ["5.10", "intel"],
  ["6.1", "intel"],
  ["6.12", "intel"],
  ["7.2", "intel"],
];

for (const [version, boot] of CORES) {
  const { name, size, seconds, core } = await linuxCore(version, boot);
  const mib = Math.round(size / 2 ** 20);
  console.log(`${name}: ${mib} MiB, ${Math.round(seconds)} s, ${core}`);
}
