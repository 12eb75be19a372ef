import { buildSimpleOS } from "../simpleos/guest.ts";

/** Far beyond what SimpleOS maps, and below the end of the address space. */
const SHIFT = "0x10000000";

/**
 * Makes a SimpleOS whose every address is another one, so that in a running
 * one there is nothing where this file says it is.
 *
 * @param path where to write its ELF file.
 */
export async function shiftedKernel(path: string): Promise<void> {
  const { success, stderr } = await new Deno.Command("objcopy", {
    args: ["--change-addresses", SHIFT, await buildSimpleOS(), path],
    stdout: "null",
    stderr: "piped",
    signal: AbortSignal.timeout(60_000),
  }).output();
  if (!success) {
    throw new Error(`objcopy: ${new TextDecoder().decode(stderr)}`);
  }
}
