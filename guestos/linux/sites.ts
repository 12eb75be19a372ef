import type { GuestReader } from "./guest_reader.ts";

/** What the kernel rewrites a place for while it runs. */
export type SiteKind =
  | "ftrace"
  | "ftrace target"
  | "jump label"
  | "static call"
  | "static call trampoline"
  | "lock prefix";

/** A place in the text that the kernel rewrites while it runs. */
export interface TextSite {
  readonly kind: SiteKind;
  /** Offset from `_text` */
  readonly at: number;
  /** Bytes */
  readonly size: number;
  /**
   * What may stand there as the guest's data is now, the likeliest first. The
   * list is short: each form is of the kernel's own making.
   */
  readonly forms: (guest: GuestReader) => Uint8Array[];
  /** What else may stand there while the kernel changes its mind */
  readonly others?: readonly Uint8Array[];
}
