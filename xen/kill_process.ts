import { constants } from "./constants.ts";
import type { Libraries } from "./libraries.ts";

/**
 * Ends a process at once, even one that is stopped. `Deno.kill` would need the
 * permission to run every program.
 *
 * @param pid Process id; nothing happens if there is none, or not for us
 */
export function killProcess({ libc }: Libraries, pid: number): void {
  libc.symbols.kill(pid, constants.SIGKILL);
}
