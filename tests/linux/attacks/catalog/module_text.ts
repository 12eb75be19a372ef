import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { labModule } from "../lab_module.ts";

/** Code that no file of the kernel tells. */
export const moduleText: Attack = {
  name: "module-text",
  description: "The code of a loaded module is changed.",
  rules: bothTypes("XK-014"),
  apply(target) {
    const { text, textSize } = labModule(target);
    const address = text + BigInt(Math.floor(textSize / 2));
    const [byte = 0] = target.guest.read(address, 1);
    target.write(address, Uint8Array.of(byte ^ 1));
  },
};
