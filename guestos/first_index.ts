/**
 * The first of a number of positions that fits, by binary search.
 *
 * @param length How many positions there are
 * @param fits Whether a position does; all behind one that fits do as well
 * @returns `length` if none fits
 *
 * @example
 * ```ts
 * import { firstIndex } from "./first_index.ts";
 *
 * const ascending = [1, 3, 3, 7];
 * console.assert(firstIndex(4, (index) => ascending[index]! >= 3) === 1);
 * console.assert(firstIndex(4, (index) => ascending[index]! > 7) === 4);
 * ```
 */
export function firstIndex(
  length: number,
  fits: (index: number) => boolean,
): number {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (fits(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}
