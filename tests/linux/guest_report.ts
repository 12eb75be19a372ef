import { hostCommand } from "../lab/host_command.ts";

/**
 * Unpacks the report that a guest of `linuxGuest` has written to its console:
 * `cmdline`, `cpuinfo`, `iomem`, `kallsyms`, `modules` and `version` of its
 * `/proc`, its `dmesg`, `release` as of `uname -r`, and what it says of its
 * processor's `vulnerabilities`.
 *
 * @param console all that the guest has written.
 * @param directory where to put the files.
 * @throws {TypeError} if there is no report.
 * @throws {Error} if it was damaged on its way.
 */
export async function guestReport(
  console: string,
  directory: string,
): Promise<void> {
  const report = console.match(/report begins\s+([^]*?)\s+report ends/)?.[1];
  if (report === undefined) throw new TypeError("no report of the guest");
  const path = `${directory}/report.tar.gz`;
  await Deno.writeFile(path, Uint8Array.fromBase64(report));
  // It makes sure of the length and checksum that gzip adds.
  await hostCommand(["tar", "-xzf", path, "-C", directory, "--no-same-owner"]);
  await Deno.remove(path);
}
