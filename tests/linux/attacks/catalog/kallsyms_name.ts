import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { kallsymsTables } from "../kallsyms_tables.ts";

/** Every name with a 9 in it has an 8 then. */
export const kallsymsName: Attack = {
  name: "kallsyms-name",
  description: "The kernel's own table gives symbols other names.",
  rules: bothTypes("XK-002"),
  apply(target) {
    target.write(
      target.image.address(kallsymsTables(target).nine),
      new TextEncoder().encode("8"),
    );
  },
};
