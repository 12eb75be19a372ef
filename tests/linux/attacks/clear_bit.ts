import type { Attack } from "./attack.ts";
import { NotApplicableError } from "./not_applicable_error.ts";

const PV = "The processor's control registers are Xen's, not a PV guest's";

/**
 * An attack that clears a bit of a control register of a PVH guest.
 *
 * @param name The bit as manuals name it: `CR0.WP`
 * @param register Its offset in the processor's state
 */
export function clearBit(name: string, register: number, bit: bigint): Attack {
  return {
    name: name.toLowerCase().replace(".", "-"),
    description: `${name} is cleared.`,
    rules: { pv: PV, pvh: ["XK-013"] },
    apply(target) {
      target.changeCpu(register, (value) => {
        if ((value >> bit & 1n) === 1n) return value & ~(1n << bit);
        throw new NotApplicableError(
          `The lab's emulated processor has no ${name}: its Dom0 does not start with it`,
        );
      });
    },
  };
}
