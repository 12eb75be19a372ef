import { type Rung, rungs } from "../../xen/protection.ts";
import type { EventBody, Response } from "../event.ts";
import { Guard } from "../guard.ts";
import type { Incident } from "../incident.ts";
import { ResponseLimits } from "../response_limits.ts";
import { ResponsePlan } from "../response_plan.ts";
import { guardedKernel } from "./guarded_kernel.ts";

/** What a test says of a guard; the rest is as usual. */
export interface GuardSetting {
  readonly response?: Response;
  /** In place of one response to all */
  readonly responses?: ResponsePlan;
  readonly limits?: ResponseLimits;
  readonly keepEvidence?: (incident: Incident) => Promise<string>;
  readonly rehearsed?: (event: EventBody) => void;
  readonly failed?: (error: unknown) => void;
  readonly booted?: boolean;
  /** Whether the kernel file tells the trusted bytes; else a first reading */
  readonly fromFile?: boolean;
}

/** A guard of a small kernel; `told` is what it reported. */
export function unarmedGuard(
  {
    response = "pause",
    responses = new ResponsePlan({ response, dump: response === "dump" }),
    limits = new ResponseLimits(),
    keepEvidence,
    rehearsed,
    failed = (error) => {
      throw error;
    },
    booted = true,
    fromFile = true,
  }: GuardSetting = {},
  allowed: readonly Rung[] = rungs,
) {
  const kernel = guardedKernel(booted);
  const { profile } = kernel;
  const untold = profile.regions.map(({ trusted: _, ...region }) => region);
  const told: EventBody[] = [];
  const guard = new Guard(
    kernel.guest,
    fromFile ? profile : { ...profile, regions: untold },
    {
      responses,
      limits,
      ...(keepEvidence === undefined ? {} : { keepEvidence }),
      ...(rehearsed === undefined ? {} : { rehearsed }),
      fullPassInterval: 60_000,
      rungs: allowed,
      failed,
    },
    (event) => {
      told.push(event);
      kernel.guest.calls.push(event.type);
    },
  );
  return { ...kernel, guard, told };
}

/** The same, armed, with no trace of the arming. */
export function armedGuard(setting: GuardSetting = {}) {
  const all = unarmedGuard(setting);
  all.guard.arm();
  all.told.length = 0;
  all.guest.calls.length = 0;
  return all;
}
