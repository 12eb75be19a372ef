/**
 * A generator of random numbers that gives the same ones for the same seed, so
 * that what fails once fails again (Mulberry32).
 *
 * @param seed 32 bits
 * @returns A function that gives an integer from 0 up to, not including, its
 *   argument
 */
export function seededRandom(seed: number): (below: number) => number {
  let state = seed | 0;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return Math.floor(((value ^ (value >>> 14)) >>> 0) / 2 ** 32 * below);
  };
}
