import type { Target } from "./target.ts";
import { bootLoader } from "./targets/boot_loader.ts";
import { btf } from "./targets/btf.ts";
import { core } from "./targets/core.ts";
import { elf } from "./targets/elf.ts";
import { kallsyms } from "./targets/kallsyms.ts";
import { pages } from "./targets/pages.ts";

/** All readers that are fuzzed. */
export const targets: readonly Target[] = [
  kallsyms,
  btf,
  elf,
  core,
  pages,
  bootLoader,
];
