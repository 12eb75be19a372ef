import { hvmCpu, vcpuContext } from "../../../../xen/layouts.ts";
import type { Attack } from "../attack.ts";
import { quiet } from "../quiet.ts";

/** Every system call of the guest; it would not survive to make one. */
export const syscallEntry: Attack = {
  name: "syscall-entry",
  description:
    "System calls enter the kernel elsewhere: by LSTAR (PVH) or by the callback that Xen keeps (PV). The guest is held meanwhile.",
  rules: { pv: ["XK-004"], pvh: ["XK-012"] },
  apply(target) {
    target.staysPaused = true;
    target.changeCpu(
      target.type === "pv"
        ? vcpuContext.syscall_callback_eip
        : hvmCpu.msr_lstar,
      () => target.address(quiet.call),
    );
  },
};
