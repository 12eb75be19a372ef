/** A part of the evidence, or why there is none of it. */
export type Part<T> = { readonly value: T } | { readonly missing: string };

/**
 * Gathers a part by itself: what fails is told, and hides no other part.
 *
 * @example
 * ```ts
 * const part = gather(() => {
 *   throw new Error("the page is gone");
 * });
 * console.assert("missing" in part && part.missing === "the page is gone");
 * ```
 */
export function gather<T>(collect: () => T): Part<T> {
  try {
    return { value: collect() };
  } catch (error) {
    return { missing: reasonOf(error) };
  }
}

/** The first line of what an error says. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n", 1)[0]! || "it failed without a word";
}
