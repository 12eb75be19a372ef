import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { kallsymsTables } from "../kallsyms_tables.ts";
import { quiet } from "../quiet.ts";

/** A monitor that believes the guest would look elsewhere. */
export const kallsymsAddress: Attack = {
  name: "kallsyms-address",
  description: "The kernel's own table gives a symbol another address.",
  rules: bothTypes("XK-002"),
  apply(target) {
    const { image, guest } = target;
    const index = image.symbols.find(quiet.call)!;
    const at = image.address(kallsymsTables(target).addresses + 4 * index);
    const entry = guest.read(at, 4);
    const view = new DataView(entry.buffer);
    view.setUint32(0, view.getUint32(0, true) + 64, true);
    target.write(at, entry);
  },
};
