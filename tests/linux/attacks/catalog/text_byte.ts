import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { quiet } from "../quiet.ts";

/** The smallest change there is. */
export const textByte: Attack = {
  name: "text-byte",
  description: "One bit is changed in the middle of a function.",
  rules: bothTypes("XK-001"),
  apply(target) {
    const middle = Math.floor(target.sizeOf(quiet.large) / 2);
    const address = target.address(quiet.large) + BigInt(middle);
    const [byte = 0] = target.guest.read(address, 1);
    target.write(address, Uint8Array.of(byte ^ 1));
  },
};
