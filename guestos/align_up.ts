/**
 * The first multiple of a unit that is not below a number.
 *
 * @example
 * ```ts
 * import { alignUp } from "./align_up.ts";
 *
 * console.assert(alignUp(5, 4) === 8 && alignUp(8, 4) === 8);
 * ```
 */
export function alignUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}
