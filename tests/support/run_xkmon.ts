import type { CommandResult, Lab } from "../lab/mod.ts";
import { LIMIT, XKMON } from "./start_lab.ts";

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
