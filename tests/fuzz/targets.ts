import type { Target } from "./target.ts";
import { bootLoader } from "./targets/boot_loader.ts";
import { btf } from "./targets/btf.ts";
import { core } from "./targets/core.ts";
import { elf } from "./targets/elf.ts";
import { kallsyms } from "./targets/kallsyms.ts";
import { lz4 } from "./targets/lz4.ts";
import { lzma2 } from "./targets/lzma2.ts";
import { moduleFile } from "./targets/module_file.ts";
import { pages } from "./targets/pages.ts";

/** All readers that are fuzzed. */
export const targets: readonly Target[] = [
  kallsyms,
  btf,
  elf,
  core,
  pages,
  bootLoader,
  moduleFile,
  lzma2,
  lz4,
];
