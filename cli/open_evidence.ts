import type { Options } from "./options.ts";
import { UsageError } from "./usage_error.ts";

/**
 * Makes sure that evidence can be kept, if it may have to be, before a guest is
 * guarded for it.
 *
 * @throws {UsageError} If nothing can be written there
 */
export function openEvidence(
  { responses, evidence }: Pick<Options, "responses" | "evidence">,
): void {
  if (!responses.mayDump) return;
  try {
    Deno.mkdirSync(evidence, { recursive: true, mode: 0o700 });
    Deno.removeSync(Deno.makeTempDirSync({ dir: evidence, prefix: ".try-" }));
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new UsageError(
      `Evidence cannot be kept in ${evidence}: ${reason}; see --evidence`,
    );
  }
}
