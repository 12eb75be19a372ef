/**
 * A quantile of measurements: the smallest one that at least this share of
 * them does not exceed.
 *
 * @param share from 0 to 1; 0.5 is the median.
 * @throws {RangeError} if there are no measurements.
 */
export function quantile(values: readonly number[], share: number): number {
  const index = Math.max(0, Math.ceil(values.length * share) - 1);
  const value = values.toSorted((a, b) => a - b)[index];
  if (value === undefined) throw new RangeError("no measurements");
  return value;
}
