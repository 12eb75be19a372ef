import { Lab, type LabConfig } from "../lab/mod.ts";
import { buildXkmon } from "./build_xkmon.ts";

/** Where xkmon lies in Dom0. */
export const XKMON = "/root/xkmon";
/**
 * What xkmon may take for anything, ms: it waits 30 s for a kernel, and other
 * labs may run on the same machine.
 */
export const LIMIT = 180_000;

/** A lab whose Dom0 has the file that `build.sh` made, and nothing else of xkmon. */
export async function startLab(config: LabConfig = {}): Promise<Lab> {
  return await Lab.start({
    ...config,
    files: [
      ...config.files ?? [],
      { from: await buildXkmon(), to: XKMON, mode: 0o755 },
    ],
  });
}
