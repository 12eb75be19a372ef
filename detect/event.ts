import type { Finding, Instrumentation, Unreadable } from "./finding.ts";
import type { Rung } from "../xen/protection.ts";
import type { GuestDomain } from "./guest.ts";

/**
 * What to do when an attack is found, from the weakest to the strongest.
 *
 * - `report`: it is told
 * - `block`: the same, and a write that was not stopped is told as such
 * - `restore`: trusted bytes and page-table entries are put back, the guest
 *   runs on
 * - `pause`: the guest stands still
 * - `dump`: it stands still, and evidence is kept
 * - `reboot`, `destroy`: the guest is stopped for good
 */
export const responses = [
  "report",
  "block",
  "restore",
  "pause",
  "dump",
  "reboot",
  "destroy",
] as const;
export type Response = typeof responses[number];

/** What is guarded in one region. */
export interface GuardedRegion {
  readonly name: string;
  readonly kind: "code" | "data";
  /** How the guest is kept from writing to it */
  readonly rung: Rung;
  readonly start: bigint;
  readonly pages: number;
  readonly source: "kernel file" | "first reading";
  readonly sha256: string;
}

/** Everything that xkmon reports of a guest, in the order it happens. */
export type MonitorEvent =
  & { readonly time: Date; readonly domain: GuestDomain }
  & (
    | {
      readonly type: "armed";
      readonly os: string;
      /** `booting`: only contents are judged until the kernel is up */
      readonly phase: "booting" | "running";
      readonly regions: readonly GuardedRegion[];
      /** Page-table entries that were made read-only */
      readonly entries: number;
      /** Whether changes of registers are judged before they happen */
      readonly registers: boolean;
    }
    | { readonly type: "finding"; readonly finding: Finding }
    | { readonly type: "unreadable"; readonly unreadable: Unreadable }
    | {
      readonly type: "instrumentation";
      readonly instrumentation: Instrumentation;
    }
    | {
      readonly type: "response";
      /** What was done, which is not what was asked for if that failed */
      readonly response: Response;
      readonly text: string;
      /** Where the evidence was kept, if it was */
      readonly evidence?: string;
    }
    | { readonly type: "notice"; readonly text: string }
  );

/** A `MonitorEvent` before time and domain are put to it. */
export type EventBody = MonitorEvent extends infer E
  ? E extends MonitorEvent ? Omit<E, "time" | "domain"> : never
  : never;
