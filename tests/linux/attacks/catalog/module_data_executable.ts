import { entryBits } from "../../../../xen/page_walk.ts";
import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { labModule } from "../lab_module.ts";

/** A place for code that no list knows. */
export const moduleDataExecutable: Attack = {
  name: "module-data-executable",
  description: "Read-only data of a module is made executable.",
  rules: bothTypes("XK-009"),
  apply(target) {
    target.changeEntry(
      labModule(target).rodata,
      (entry) => entry & ~entryBits.noExecute,
    );
  },
};
