import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { readOperation } from "../read_operation.ts";
import { quiet } from "../quiet.ts";

/** How rootkits hide lines of a log. */
export const fileOperations: Attack = {
  name: "file-operations",
  description:
    "A pointer in a constant `struct file_operations` leads elsewhere.",
  rules: bothTypes("XK-002"),
  apply(target) {
    target.writePointer(
      readOperation(target),
      target.address(quiet.otherCall),
    );
  },
};
