import { type CpioEntry, link, program } from "./cpio_entry.ts";
import { hostCommand } from "./host_command.ts";
import { oneOf } from "./one_of.ts";

/**
 * Busybox and a link for each of its programs in `usr/bin`.
 *
 * @param packages directory of unpacked packages.
 */
export async function busybox(packages: string): Promise<CpioEntry[]> {
  const path = await oneOf(packages, ["bin/busybox", "usr/bin/busybox"]);
  const list = await hostCommand([path, "--list"]);
  const names = new TextDecoder().decode(list).trim().split("\n");
  return [
    await program("usr/bin/busybox", path),
    ...names.filter((name) => name !== "busybox")
      .map((name) => link(`usr/bin/${name}`, "busybox")),
  ];
}
