import { Lab } from "../lab/mod.ts";
import { buildXkmon } from "./build_xkmon.ts";

/** Where xkmon lies in Dom0. */
export const XKMON = "/root/xkmon";

/** A lab whose Dom0 has the file that `build.sh` made, and nothing else of xkmon. */
export async function startLab(): Promise<Lab> {
  return await Lab.start({
    files: [{ from: await buildXkmon(), to: XKMON, mode: 0o755 }],
  });
}
