import type { CommandResult, Lab } from "../lab/mod.ts";
import { XKMON } from "./start_lab.ts";

/** It waits 30 s for a kernel, and other labs may run on the same machine. */
const LIMIT = 180_000;

/** Runs xkmon in Dom0 to its end, whatever its exit status. */
export async function runXkmon(
  lab: Lab,
  ...args: readonly string[]
): Promise<CommandResult> {
  return await lab.run([XKMON, ...args], {
    check: false,
    timeoutMs: LIMIT,
  });
}
