import type { Lab } from "../lab/mod.ts";
import { buildSimpleOS } from "../simpleos/guest.ts";
import { SimpleOSFile } from "./simpleos_file.ts";

/** Far beyond what SimpleOS maps, and below the end of the address space. */
const SHIFT = "0x10000000";

/**
 * Puts a SimpleOS into Dom0 whose every address is another one, so that in a
 * running one there is nothing where this file says it is.
 *
 * @returns what that file tells.
 */
export async function putShiftedKernel(
  lab: Lab,
  to: string,
): Promise<SimpleOSFile> {
  const path = await Deno.makeTempFile({ prefix: "xkmon-test-" });
  try {
    await shift(path);
    await lab.put(path, to, 0o644);
    return await SimpleOSFile.read(path);
  } finally {
    await Deno.remove(path);
  }
}

async function shift(path: string): Promise<void> {
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
