import type { Finding, Instrumentation, Unreadable } from "./finding.ts";
import type { Rung } from "../xen/protection.ts";
import type { GuestDomain } from "./guest.ts";

/** What to do when an attack is found. */
export const responses = ["report", "pause", "reboot", "destroy"] as const;
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
      readonly response: Response;
      readonly text: string;
    }
    | { readonly type: "notice"; readonly text: string }
  );

/** A `MonitorEvent` before time and domain are put to it. */
export type EventBody = MonitorEvent extends infer E
  ? E extends MonitorEvent ? Omit<E, "time" | "domain"> : never
  : never;
