import { PAGE_SIZE } from "./layouts.ts";
import type { InvariantRange } from "./protection.ts";

/**
 * Whether a page of a range is executed.
 *
 * @param page Its position in the range
 *
 * @example
 * ```ts
 * import { isExecuted } from "./is_executed.ts";
 *
 * const text = { start: 0n, size: 4096, kind: "code", rungs: [] } as const;
 * console.assert(isExecuted(text, 0));
 * ```
 */
export function isExecuted(
  { kind, start, executed }: InvariantRange,
  page: number,
): boolean {
  if (kind === "code") return true;
  if (executed === undefined) return false;
  const offset = Number(start - executed.start) + page * PAGE_SIZE;
  return offset >= 0 && offset < executed.size;
}
