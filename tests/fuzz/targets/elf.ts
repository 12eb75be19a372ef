import { assert } from "@std/assert";
import { ElfFile } from "../../../guestos/elf_file.ts";
import { SymbolTable } from "../../../guestos/symbol_table.ts";
import { elfImage } from "../../../guestos/testing/elf_image.ts";
import { isRefused } from "../is_refused.ts";
import type { Seed, Target } from "../target.ts";

const BASE = 0xffff_ffff_8000_0000n;

function seed(): Seed {
  const image = elfImage({
    loads: [
      { address: BASE, bytes: Uint8Array.of(1, 2, 3, 4), memorySize: 64n },
      { address: BASE + 64n, bytes: Uint8Array.of(5, 6, 7, 8) },
      { address: BASE + 0x1000n, bytes: Uint8Array.of(9) },
    ],
    notes: [
      { owner: "Xen", type: 6, description: "linux" },
      { owner: "GNU", type: 3, description: Uint8Array.of(0xab, 0xcd) },
    ],
    symbols: [
      { name: "_text", address: BASE },
      { name: "do_one", address: BASE + 2n, size: 6n, global: false },
      { name: "do_two", address: BASE + 8n, size: 16n },
    ],
  });
  const { bytes, segmentsAt, sectionsAt, notesAt, symbolsAt, stringsAt } =
    image;
  return {
    bytes,
    ranges: [
      [16, 64],
      [segmentsAt, segmentsAt + 4 * 56],
      [sectionsAt, sectionsAt + 5 * 64],
      [notesAt, symbolsAt],
      [symbolsAt, stringsAt],
    ],
  };
}

/** A kernel's ELF file. */
export const elf: Target = {
  name: "elf",
  seeds: [seed()],
  limit: 1000,
  read: (input) =>
    !isRefused(() => {
      const elf = new ElfFile(input);
      assert(elf.end >= 0);
      new SymbolTable(elf.symbols).describe(BASE + 3n);
      for (const { address, memorySize } of elf.segments) {
        elf.bytesAt(address, Math.min(memorySize, 4096));
        elf.bytesAt(address + 1n, 4096);
      }
    }),
};
