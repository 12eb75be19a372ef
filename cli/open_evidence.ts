import { UsageError } from "./usage_error.ts";

/**
 * Makes sure that evidence can be kept before a guest is guarded for it.
 *
 * @throws {UsageError} If nothing can be written there
 */
export function openEvidence(folder: string): void {
  try {
    Deno.mkdirSync(folder, { recursive: true, mode: 0o700 });
    Deno.removeSync(Deno.makeTempDirSync({ dir: folder, prefix: ".try-" }));
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new UsageError(
      `Evidence cannot be kept in ${folder}: ${reason}; see --evidence`,
    );
  }
}
