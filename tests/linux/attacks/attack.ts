import type { LinuxGuestType } from "../../lab/linux_guest.ts";
import type { Target } from "./target.ts";

/** What an attacker who rules the guest's kernel could do to it. */
export interface Attack {
  /** A short name, for the command line and the matrix. */
  readonly name: string;
  /** One sentence of what is done. */
  readonly description: string;
  /**
   * By type of guest the IDs of the rules that must find it, all of them and no
   * others, or why it cannot be done to such a guest.
   */
  readonly rules: Readonly<Record<LinuxGuestType, readonly string[] | string>>;
  /** Whether only a search of all the kernel's memory finds it. */
  readonly isFar?: true;
  /**
   * Does it, while the guest is paused.
   *
   * @throws {NotApplicableError} if this guest has nothing to attack.
   */
  apply(target: Target): void;
}
