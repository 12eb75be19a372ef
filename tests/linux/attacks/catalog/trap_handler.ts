import { trapInfo, vcpuContext } from "../../../../xen/layouts.ts";
import type { Attack } from "../attack.ts";
import { quiet } from "../quiet.ts";

const GATE_SIZE = 16;

/** Handlers of exceptions: in the processor's table, or in Xen's. */
export const trapHandler: Attack = {
  name: "trap-handler",
  description:
    "The handler of an exception is another one: by a gate of the IDT (PVH) or by the trap table that Xen keeps (PV).",
  rules: { pv: ["XK-004"], pvh: ["XK-011"] },
  apply(target) {
    if (target.type === "pv") {
      const at = vcpuContext.trap_ctxt + quiet.vector * trapInfo.size +
        trapInfo.address;
      target.changeCpu(at, () => target.address(quiet.otherHandler));
      return;
    }
    const address = target.address("idt_table") +
      BigInt(quiet.vector * GATE_SIZE);
    const gate = target.guest.read(address, GATE_SIZE);
    const view = new DataView(gate.buffer);
    const handler = target.address(`asm_${quiet.otherHandler}`);
    view.setUint16(0, Number(handler & 0xffffn), true);
    view.setUint16(6, Number(handler >> 16n & 0xffffn), true);
    view.setUint32(8, Number(handler >> 32n), true);
    target.write(address, gate);
  },
};
