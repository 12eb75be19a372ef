import { assert } from "@std/assert";
import { findKallsyms } from "../../../guestos/linux/kallsyms.ts";
import {
  kallsymsImage,
  type KallsymsLayout,
} from "../../../guestos/linux/testing/kallsyms_image.ts";
import { kernelSymbols } from "../../../guestos/linux/testing/kernel_symbols.ts";
import type { Seed, Target } from "../target.ts";

const BASE = 0xffff_ffff_8100_0000n;
const START = 0xffff_ffff_8200_0000n;
const LAYOUTS: readonly KallsymsLayout[] = ["5.10", "6.1", "6.12", "7.2"];

function seedOf(layout: KallsymsLayout): Seed {
  const long = [`n${7n ** 200n}`, `n${3n ** 800n}`];
  const symbols = kernelSymbols({
    count: 1000,
    base: BASE,
    perCpu: layout === "7.2" ? 0 : 20,
    names: long,
  });
  const image = kallsymsImage({ layout, symbols, start: START });
  const { bytes, countAt, namesAt, markersAt, tokensAt, indexAt } = image;
  const { offsetsAt } = image;
  return {
    bytes,
    ranges: [
      [countAt, countAt + 4],
      [namesAt, namesAt + 64],
      [markersAt - 64, markersAt + 16],
      [tokensAt, indexAt],
      [indexAt, indexAt + 512],
      [offsetsAt, offsetsAt + 4000],
      [offsetsAt + 4000, Math.min(offsetsAt + 4008, bytes.length)],
    ],
  };
}

/** The kernel's table of symbols, in a block of its memory. */
export const kallsyms: Target = {
  name: "kallsyms",
  seeds: LAYOUTS.map(seedOf),
  limit: 1000,
  read(input) {
    const symbols = findKallsyms({ start: START, bytes: input });
    if (symbols === undefined) return false;
    for (const { name, type, address } of symbols) {
      assert(/^[!-~]{1,512}$/.test(name) && type.length === 1, name);
      assert(address === BigInt.asUintN(64, address), `${address}`);
    }
    return true;
  },
};
