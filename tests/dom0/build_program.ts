import { hostCommand } from "../lab/host_command.ts";

const root = new URL("../../", import.meta.url).pathname;

/**
 * Builds a program of the tests for the lab's Dom0 as `build.sh` builds xkmon:
 * the same runtime, the same permissions, one file.
 *
 * @param main path of the program below the root of the repository; like
 *   xkmon, it must answer `--version`.
 * @returns the path of the executable on this machine.
 * @throws {Error} with the end of what `build.sh` says, if it fails.
 */
export async function buildProgram(main: string): Promise<string> {
  const out = `${root}.cache/dom0/${main.replaceAll("/", "_")}`;
  await hostCommand([
    `${root}build.sh`,
    ...["--target", "x86_64-unknown-linux-gnu"],
    // What deno compile makes runs the same code: this way needs no download
    ...["--method", "bundle"],
    ...["--main", root + main],
    ...["--out", out],
  ]);
  return `${out}/xkmon-x86_64-linux`;
}
