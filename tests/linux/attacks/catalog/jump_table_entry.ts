import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { loaderJump } from "../loader_jump.ts";

/** The table that says which jumps are legitimate. */
export const jumpTableEntry: Attack = {
  name: "jump-table-entry",
  description: "An entry of `__jump_table` names another target.",
  rules: bothTypes("XK-002"),
  apply(target) {
    const { image, guest } = target;
    const at = image.address(loaderJump(target).entry + 4);
    const distance = guest.read(at, 4);
    const view = new DataView(distance.buffer);
    view.setInt32(0, view.getInt32(0, true) + 16, true);
    target.write(at, distance);
  },
};
