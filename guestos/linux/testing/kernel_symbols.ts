import { seededRandom } from "../../testing/seeded_random.ts";
import type { KernelSymbol } from "../kernel_symbols.ts";

/** What a kernel's table is to hold. */
export interface KernelSymbolsOptions {
  count: number;
  /** Address of the first one that is not per-CPU */
  base: bigint;
  /** How many of them are offsets in the per-CPU area */
  perCpu?: number;
  /** Names that stand at the end, whatever their length */
  names?: readonly string[];
  seed?: number;
}

const WORDS = ["do", "sys", "read", "write", "lock", "pv", "page", "x86"];
const TYPES = "tTdDrRbB";

/** Symbols for the tests as a kernel has them: ascending, with every digit. */
export function kernelSymbols(
  { count, base, perCpu = 0, names = [], seed = 1 }: KernelSymbolsOptions,
): KernelSymbol[] {
  const random = seededRandom(seed);
  let address = 0n;
  return Array.from({ length: count }, (_, index) => {
    if (index === perCpu) address = base;
    else if (random(8) !== 0) address += BigInt(random(256));
    const parts = Array.from(
      { length: 1 + random(3) },
      () => WORDS[random(WORDS.length)],
    );
    return {
      name: names[index - count + names.length] ??
        `${parts.join("_")}_${index}`,
      type: index < perCpu ? "A" : TYPES[random(TYPES.length)]!,
      address,
    };
  });
}
