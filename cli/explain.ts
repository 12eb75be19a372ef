import { UnreadableMemoryError } from "../guestos/memory.ts";

/**
 * An error as the one line that the operator gets: what is wrong and, where
 * the error itself does not say, what to do.
 */
export function explain(error: unknown): string {
  const [line = "", ...rest] =
    (error instanceof Error ? error.message : String(error)).split("\n");
  if (error instanceof UnreadableMemoryError) {
    return `${line}. Is this the kernel that the guest runs, and is it up? ` +
      "Try again, or name its kernel with --kernel FILE";
  }
  return rest.length > 0 ? `${line} ...` : line;
}
