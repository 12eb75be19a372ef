import {
  branch,
  BRANCH_SIZE,
  branchTarget,
  CALL,
  JUMP,
} from "../../../../guestos/linux/x86_branch.ts";
import type { Attack } from "../attack.ts";
import { bothTypes } from "../both_types.ts";
import { NotApplicableError } from "../not_applicable_error.ts";
import { redirectedCall } from "../redirected_call.ts";

/** What replaces the classic one where the table is not read any more. */
export const syscallBranch: Attack = {
  name: "syscall-branch",
  description: "A branch in `x64_sys_call` leads to another system call.",
  rules: bothTypes("XK-006"),
  apply(target) {
    const { bytes } = target.image;
    const start = target.image.offset("x64_sys_call");
    if (start === undefined) {
      throw new NotApplicableError(
        "This kernel has no `x64_sys_call`: system calls go by the table alone",
      );
    }
    const end = start + target.sizeOf("x64_sys_call") - BRANCH_SIZE;
    const { name, to, effect } = redirectedCall;
    const wanted = target.offset(name);
    for (let at = start; at <= end; at++) {
      const opcode = bytes[at]!;
      const isBranch = opcode === CALL || opcode === JUMP;
      if (!isBranch || branchTarget(bytes, at, at) !== wanted) continue;
      target.write(
        target.image.address(at),
        branch(opcode, at, target.offset(to)),
      );
      target.effect = effect;
      return;
    }
    throw new TypeError(`x64_sys_call does not reach ${name}`);
  },
};
