import type { LinuxGuestType } from "../../lab/linux_guest.ts";
import type { LinuxVersion } from "../../lab/linux_kernels.ts";
import type { Outcome } from "./outcome.ts";

/** All attacks on one guest: a column of the matrix. */
export interface Column {
  /** Linux' version: `6.1`. */
  readonly version: LinuxVersion;
  /** Its release: `6.1.0-56-amd64`. */
  readonly release: string;
  readonly type: LinuxGuestType;
  /** One an attack, in the order of the catalog. */
  readonly outcomes: readonly Outcome[];
}
