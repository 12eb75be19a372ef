import { hostCommand } from "../lab/host_command.ts";

const root = new URL("../../", import.meta.url).pathname;

/**
 * Compiles the C program that xkmon is measured against; it is linked with
 * Dom0's own libraries.
 *
 * @returns the path of the executable on this machine.
 * @throws {Error} with what the compiler says.
 */
export async function buildBaseline(): Promise<string> {
  const out = `${root}.cache/dom0`;
  await Deno.mkdir(out, { recursive: true });
  await hostCommand([
    "gcc",
    ...["-std=gnu11", "-O2", "-Wall", "-Wextra"],
    ...["-o", `${out}/baseline`, `${root}tests/bench/baseline.c`],
    ...["-lxenctrl", "-lxenforeignmemory", "-lxenevtchn", "-lxengnttab"],
  ]);
  return `${out}/baseline`;
}
