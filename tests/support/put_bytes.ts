import type { Lab } from "../lab/mod.ts";

/** Writes a file in Dom0. */
export async function putBytes(
  lab: Lab,
  bytes: string | Uint8Array,
  to: string,
): Promise<void> {
  await lab.run(["sh", "-c", 'cat >"$1"', "sh", to], { stdin: bytes });
}
