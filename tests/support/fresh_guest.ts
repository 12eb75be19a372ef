import type { Lab } from "../lab/mod.ts";
import {
  type SimpleOS,
  type StartOptions,
  startSimpleOS,
} from "../simpleos/guest.ts";

/** A guest of one test. */
export interface FreshGuest extends AsyncDisposable {
  readonly simpleos: SimpleOS;
  /** Its domain id at start. */
  readonly domid: number;
}

/** Starts a SimpleOS that is gone when its scope ends, whatever became of it. */
export async function freshGuest(
  lab: Lab,
  options?: StartOptions,
): Promise<FreshGuest> {
  const simpleos = await startSimpleOS(lab, options);
  const { guest } = simpleos;
  return {
    simpleos,
    domid: await guest.domid(),
    async [Symbol.asyncDispose]() {
      await lab.run(["xl", "destroy", guest.name], { check: false });
      await guest.waitForState((state) => state === undefined);
    },
  };
}
