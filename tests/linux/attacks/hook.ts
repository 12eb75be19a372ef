import { branch, JUMP } from "../../../guestos/linux/x86_branch.ts";
import type { Target } from "./target.ts";

/** Lets a function begin with a jump to another one: an inline hook. */
export function hook(target: Target, from: string, to: string): void {
  const at = target.offset(from);
  target.write(
    target.image.address(at),
    branch(JUMP, at, target.offset(to)),
  );
}
